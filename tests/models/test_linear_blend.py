import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

import tfmmrec.memory
from tests.conformance.models import NUM_CANDIDATES, NUM_QUERIES, ModelCase, catalogue, ready, statistics
from tfmmrec.data.dataset import Interactions
from tfmmrec.linear_autoencoder import linear_factors
from tfmmrec.models.linear_blend import build_linear_blend
from tfmmrec.types import UsageError

SMALL = {"dim": 5, "feature_dim": 6, "text_dim": 5, "image_size": 16, "rank": 3}
HISTORIES = np.array([[0, 3, 5, -1], [2, -1, -1, -1], [1, 4, 7, 9], [-1, -1, -1, -1]], np.int32)
KNOWN = np.flatnonzero(catalogue().train.counts())


def disturbed(**own):
    """Settled with weights that are not the initial ones."""
    made = ready(ModelCase("linear_blend", "linear_blend", SMALL | own))
    for number, variable in enumerate(made.model.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 3], stddev=0.3))
    made.settle()
    return made


def chosen(interactions):
    matrix = np.zeros((NUM_QUERIES, NUM_CANDIDATES))
    matrix[interactions.query_rows(), interactions.indices] = 1.0
    return matrix


def queries_of(made):
    """Features of the first queries, with the histories above."""
    features = tf.nest.map_structure(lambda table: tf.constant(table[: len(HISTORIES)]), made.embedder.query_tables)
    return features | {"history": {"rows": tf.constant(HISTORIES)}}


def trained_of(made):
    """Vectors of both sides by the fusions that are trained, as if nothing stood beside them."""
    model, features = made.model, made.embedder.candidate_tables
    candidates = model.candidate_tower.fusion.inner(model.candidate_tower.encode(features)).numpy()
    own = {name: features[name] for name in model.history_tower.encoders}
    pooled = model.history_tower.fusion.inner(model.history_tower.encode(own))
    inputs = queries_of(made)
    inputs["history"] |= {"table": pooled}
    queries = model.query_tower.fusion.inner(model.query_tower.encode(inputs)).numpy()
    return queries, candidates


def factors_of(made, name):
    """Reading or scoring of all candidates: what was computed, or [t ; x̄ ; 1] R."""
    factors = linear_factors(sp.csr_matrix(chosen(catalogue().train)[:, KNOWN]), 3)
    tower = made.model.candidate_tower if name == "scoring" else made.model.history_tower
    assert tower.fusion.num_terms.keys() >= {"title", "tags", "price"}
    content = np.zeros((NUM_CANDIDATES, tower.fusion.content_map.shape[0]), np.float32)
    found = tower.fusion.content(tower.encode(made.embedder.candidate_tables))
    np.add.at(content, tuple(found.indices.numpy().T), found.values.numpy())
    found = content @ tower.fusion.content_map.numpy()
    found[KNOWN] = getattr(factors, name)
    return found, content


def test_the_score_is_the_trained_one_plus_the_linear_one():
    made = disturbed()
    model, features = made.model, made.embedder.candidate_tables
    queries, candidates = trained_of(made)
    linear = np.zeros((len(HISTORIES), NUM_CANDIDATES))
    reading, scoring = factors_of(made, "reading")[0], factors_of(made, "scoring")[0]
    for row, history in enumerate(HISTORIES):
        if (history >= 0).any():
            linear[row] = reading[history[history >= 0]].mean(axis=0) @ scoring.T
    expected = queries @ candidates.T + model.query_tower.fusion.scale.numpy() * linear
    assert len(KNOWN) < NUM_CANDIDATES and np.abs(linear[:3, -6:]).min() > 0  # nobody chose those
    found = model.embed_queries(queries_of(made), model.embed_history(features)).numpy()
    found = found @ model.embed_candidates(features).numpy().T
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["reading", "scoring"])
def test_content_predicts_factors_by_ridge_regression(name):
    made = disturbed(content_l2=2.0)
    tower = made.model.candidate_tower if name == "scoring" else made.model.history_tower
    factors, content = factors_of(made, name)
    system = content[KNOWN].T @ content[KNOWN] + 2.0 * np.eye(content.shape[1])
    expected = np.linalg.solve(system.astype(np.float64), content[KNOWN].T @ factors[KNOWN])
    np.testing.assert_allclose(tower.fusion.content_map, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("blend", [0.5, 2.0])
def test_linear_scores_deviate_so_many_times_as_much_as_the_trained_ones(blend):
    made = disturbed(blend=blend)
    candidates, queries = made.vectors()
    trained = (queries[:, :5] @ candidates[KNOWN, :5].T).std(axis=1).mean()
    linear = (queries[:, 5:] @ candidates[KNOWN, 5:].T).std(axis=1).mean()
    assert linear == pytest.approx(blend * trained, rel=1e-4)


def test_a_blend_of_zero_leaves_the_linear_scores_out():
    candidates, queries = disturbed(blend=0.0).vectors()
    assert candidates[:, 5:].any() and not queries[:, 5:].any()


def test_a_choice_counts_once_however_often_it_was_made():
    train = catalogue().train
    twice = Interactions(2 * np.array(train.indptr), np.repeat(train.indices, 2), num_candidates=NUM_CANDIDATES)
    one, other = disturbed(), disturbed()
    other.model.set_interactions(twice)
    found = other.model.candidate_tower.encoders["id"].factors
    np.testing.assert_array_equal(found, one.model.candidate_tower.encoders["id"].factors)


@pytest.mark.parametrize("loss", ["multinomial", "full_softmax"])
def test_the_loss_is_that_of_a_two_tower_model(loss):
    """The factors, their scale and what content says of them have no part in it."""
    own = {name: size for name, size in SMALL.items() if name != "rank"}
    made, plain = disturbed(loss=loss), ready(ModelCase("plain", "two_tower", own | {"loss": loss}))
    for variable, own in zip(plain.model.trainable_variables, made.model.trainable_variables, strict=True):
        variable.assign(own)
    for name, encoder in made.model.query_tower.encoders.items():
        plain.model.query_tower.encoders[name].set_weights(encoder.get_weights())  # frozen ones too
    plain.model.set_catalogue(made.embedder.candidate_tables)
    batch = tf.nest.map_structure(tf.constant, made.stream.batch(0))
    expected = plain.model.compute_loss(batch, training=True)
    np.testing.assert_allclose(made.model.compute_loss(batch, training=True), expected, rtol=1e-6)
    frozen = {variable.ref() for variable in made.model.non_trainable_variables}
    towers = made.model.candidate_tower, made.model.history_tower
    assert {tower.encoders["id"].factors.ref() for tower in towers} <= frozen
    assert {tower.fusion.content_map.ref() for tower in towers} <= frozen
    assert made.model.query_tower.fusion.scale.ref() in frozen


def test_what_does_not_fit_into_memory_is_refused(monkeypatch):
    model = ready(ModelCase("linear_blend", "linear_blend", SMALL)).model
    monkeypatch.setattr(tfmmrec.memory, "available_bytes", lambda: 32 * len(KNOWN) ** 2)
    with pytest.raises(
        UsageError,
        match=rf"linear_blend over {len(KNOWN)} candidates needs 0.0 MB of memory, and half of what is available is "
        "0.0 MB; take two_tower, which compares no pairs of candidates",
    ):
        model.set_interactions(catalogue().train)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blend": -1.0}, "blend must be 0 or more and content_l2 positive, got -1.0 and 5.0"),
        ({"content_l2": 0.0}, "blend must be 0 or more and content_l2 positive, got 0.5 and 0.0"),
        ({"linear_dropout": 1.0}, r"linear_dropout must lie in \[0, 1\), .*, got 1.0, 1.0 and 0.25"),
        ({"linear_l2": 0.0}, r"linear_l2 be positive and .*, got 0.5, 0.0 and 0.25"),
        ({"linear_exponent": 2.0}, r"linear_exponent lie in \[0, 1\], got 0.5, 1.0 and 2.0"),
        ({"rank": 0}, "dim and rank must be at least 1, got 5 and 0"),
        ({"loss": "bpr"}, "linear_blend's loss must be multinomial or full_softmax, got 'bpr'"),
        ({"fusion": "late"}, "takes fusion=early, attention, gated, cross_attention, tensor or low_rank, got 'late'"),
        ({"fusion": "graph"}, "takes fusion=early, .* or low_rank, got 'graph'"),
    ],
)
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        build_linear_blend(catalogue().schema, statistics(), **SMALL | options)


def test_without_a_history_it_is_refused():
    schema = catalogue().schema
    queries = schema.queries.model_copy(update={"history": None})
    with pytest.raises(UsageError, match="linear_blend reads histories, this dataset has none; set queries.history"):
        build_linear_blend(schema.model_copy(update={"queries": queries}), statistics(), **SMALL)
