import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import HISTORY_LENGTH, NUM_CANDIDATES, ModelCase, catalogue, ready, statistics
from tfmmrec.models.mult_dae import build_mult_dae
from tfmmrec.types import UsageError

SMALL = {"dim": 5, "feature_dim": 6, "text_dim": 5, "image_size": 16}
HISTORIES = np.array([[0, 3, 5, -1], [2, -1, -1, -1], [1, 4, 7, 9], [-1, -1, -1, -1]], np.int32)


def build(schema=None, **hyperparameters):
    return build_mult_dae(schema or catalogue().schema, statistics(), **(SMALL | hyperparameters))


def disturbed(content):
    made = ready(ModelCase("mult_dae", "mult_dae", SMALL | {"content": content, "dropout": 0.0}))
    for number, variable in enumerate(made.model.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 3], stddev=0.3))
    return made


def table_of(tower, features, size):
    """The id's row plus projections of short content and of what is there, by hand."""
    embedded = tower.encode(features)
    parts = {name: np.where(part["present"][:, None], part["vector"], 0.0) for name, part in embedded.items()}
    identity = parts.pop("id")
    if not parts:
        return identity
    short = [0.1 * parts[n] / np.maximum(np.linalg.norm(parts[n], axis=1, keepdims=True), 1e-6) for n in sorted(parts)]
    presence = np.stack([embedded[name]["present"] for name in sorted(embedded)], axis=1)
    layer = tower.fusion.output_layer
    assert identity.shape[1] == size
    return identity + np.concatenate([*short, presence], axis=1) @ layer.kernel.numpy() + layer.bias.numpy()


@pytest.mark.parametrize("content", [False, True])
def test_the_logits_are_the_paper_s(content):
    made = disturbed(content)
    model, features = made.model, made.embedder.candidate_tables
    one, two = (
        table_of(model.history_tower, features, 5),
        table_of(model.candidate_tower, features, 6),
    )  # W_1, [W_2 ; b_2]
    layer = model.query_tower.fusion.output_layer
    x = np.zeros((len(HISTORIES), NUM_CANDIDATES))
    for row, history in enumerate(HISTORIES):
        x[row, history[history >= 0]] = 1.0
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    b_1 = layer.bias.numpy() + (norm > 0) * layer.kernel.numpy()  # the kernel's one row is for the presence
    z = np.tanh(x / np.maximum(norm, 1e-6) @ one + b_1)
    expected = z @ two[:, :5].T + two[:, 5]
    pooled = model.embed_history(features)
    queries = model.embed_queries({"history": {"rows": tf.constant(HISTORIES)}}, pooled).numpy()
    found = queries @ model.embed_candidates(features).numpy().T
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_loss_is_the_multinomial_likelihood_of_chosen_candidates():
    made = disturbed(content=False)
    model, batch = made.model, made.stream.batch(0)
    features = made.embedder.candidate_tables
    queries = model.embed_queries(tf.nest.map_structure(tf.constant, batch["query"]), model.embed_history(features))
    logits = queries.numpy() @ model.embed_candidates(features).numpy().T
    logits[:, np.array(statistics().candidate_counts) == 0] = -np.inf
    likelihood = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = batch["targets"] > 0
    expected = -likelihood[targets].sum() / targets.sum()
    found = model.compute_loss(tf.nest.map_structure(tf.constant, batch), training=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_dropout_leaves_unit_length():
    history = build(dropout=0.5).query_tower.encoders["history"]
    assert (history.length, history.exponent, history.dropout) == (HISTORY_LENGTH, 0.5, 0.5)
    inputs = {"rows": tf.tile(HISTORIES[2:3], [300, 1]), "table": tf.eye(NUM_CANDIDATES)}  # so that it gives x itself
    x = history(inputs, training=True)["vector"].numpy()
    kept = (x > 0).sum(axis=1)
    assert set(kept) == {0, 1, 2, 3, 4} and abs(kept.mean() - 2.0) < 0.25
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), kept > 0, rtol=1e-5)


def test_content_is_in_both_tables():
    ids, both = build(), build(content=True, identifier_dropout=0.25, content_weight=0.75, text_mode="finetuned")
    assert set(ids.candidate_tower.encoders) == set(ids.history_tower.encoders) == {"id"}
    features = set(catalogue().schema.candidates.features)
    assert set(both.candidate_tower.encoders) == set(both.history_tower.encoders) == {"id", *features}
    for name, encoder in both.history_tower.encoders.items():
        assert (encoder is both.candidate_tower.encoders[name]) == (name in features)
    assert both.candidate_tower.encoders["id"].dropout == 0.25 and both.history_tower.encoders["id"].dropout == 0.0
    assert both.content_weight == 0.75 and both.candidate_tower.encoders["title"].mode == "finetuned"
    assert ids.build_towers() == both.build_towers() == 6


def test_ids_that_train_does_not_have_are_unknown():
    counts = [0, *statistics().candidate_counts[1:]]
    model = build_mult_dae(catalogue().schema, statistics().model_copy(update={"candidate_counts": counts}), **SMALL)
    for tower in (model.candidate_tower, model.history_tower):
        assert "c0" not in tower.encoders["id"].vocabulary and "c1" in tower.encoders["id"].vocabulary


def test_without_a_history_it_is_refused():
    schema = catalogue().schema
    queries = schema.queries.model_copy(update={"history": None})
    with pytest.raises(UsageError, match="mult_dae reads histories, this dataset has none; set queries.history"):
        build(schema.model_copy(update={"queries": queries}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "must be at least 1, got dim=0"),
        ({"dropout": 1.0}, r"history dropout must lie in \[0, 1\), got 1.0"),
        ({"content": True, "pretrained": {"price": "handle"}}, "pretrained: price is of kind number"),
        ({"identifier_dropout": 0.5}, "identifier_dropout and pretrained are of mult_dae with content"),
        ({"pretrained": {"title": "somewhere"}}, "identifier_dropout and pretrained are of mult_dae with content"),
    ],
)
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        build(**options)


def test_content_of_candidates_without_features_is_refused():
    schema = catalogue().schema
    candidates = schema.candidates.model_copy(update={"features": {}})
    with pytest.raises(UsageError, match="with content needs candidates with at least one feature"):
        build_mult_dae(schema.model_copy(update={"candidates": candidates}), statistics(), content=True)
