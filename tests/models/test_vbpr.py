import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import (
    HISTORY_LENGTH,
    NUM_CANDIDATES,
    NUM_QUERIES,
    ModelCase,
    catalogue,
    ready,
    statistics,
)
from tfmmrec.encoders import ImageEncoder, TextEncoder
from tfmmrec.models import loss_choice
from tfmmrec.models.in_batch_losses import NegativeOptions
from tfmmrec.models.vbpr import build_vbpr
from tfmmrec.types import UsageError

SMALL = {"dim": 3, "content_dim": 2, "feature_dim": 6, "text_dim": 5, "image_size": 16}
CASE = ModelCase("vbpr", "vbpr", SMALL)


def build(schema=None, stats=None, **hyperparameters):
    return build_vbpr(schema or catalogue().schema, stats or statistics(), **(SMALL | hyperparameters))


def disturbed(made):
    for number, variable in enumerate(made.model.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 3], stddev=0.3))
    return made


@pytest.mark.parametrize("scale", [None, 0.1])
def test_the_score_is_the_paper_s(scale):
    made = disturbed(ready(ModelCase("vbpr", "vbpr", SMALL | {"content_scale": scale})))
    candidates, queries = made.vectors()
    found = queries @ candidates.T
    tower = made.model.candidate_tower
    embedded = tf.nest.map_structure(np.asarray, tower.encode(made.embedder.candidate_tables))
    own = made.model.query_tower.encoders["id"].embeddings.numpy()  # [γ_u ; θ_u1 ; … ], blocks by name
    expected, start = np.zeros((NUM_QUERIES, NUM_CANDIDATES)), 0
    missing = 0
    for name in sorted(embedded):
        present = embedded[name]["present"]
        missing += (~present).sum()
        features = np.where(present[:, None], embedded[name]["vector"], 0.0)  # f_m
        if name == "id":
            gamma, beta = features[:, :3], features[:, 3]
            expected += beta + own[:, start : start + 3] @ gamma.T
            start += 3
            continue
        if scale is not None:
            features = features * scale / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)
        kernel = tower.fusion.projections[name].kernel.numpy()
        matrix, bias = kernel[:, :2].T, kernel[:, 2]  # E_m, β'_m
        expected += features @ bias + own[:, start : start + 2] @ (matrix @ features.T)
        start += 2
    assert start == own.shape[1] and missing > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_who_is_unknown_gets_the_biases_alone():
    made = disturbed(ready(CASE))
    unknown = made.model.embed_queries(made.model.query_tower.preprocess({"id": tf.constant(["nobody"])})).numpy()
    np.testing.assert_array_equal(unknown, np.eye(1, unknown.shape[1], unknown.shape[1] - 1))


def test_the_loss_is_bpr_s_against_uniform_negatives():
    made = ready(ModelCase("vbpr", "vbpr", SMALL | {"num_negatives": 200}))
    model, batch = made.model, tf.nest.map_structure(tf.constant, made.stream.batch(0))
    assert model.loss_name == "bpr" and model.negatives == NegativeOptions("uniform", 200)
    disturbed(made)
    candidates, queries = made.vectors()
    chosen = np.array(statistics().candidate_counts) > 0
    scores = queries[batch["query"]["id"]["row"]] @ candidates.T
    own = batch["candidate_rows"].numpy()[batch["positive"].numpy()]
    assert len(own) > 0
    expected = np.mean(
        [
            np.mean([np.log1p(np.exp(row[j] - row[i])) for j in np.flatnonzero(chosen) if j != i])
            for row, i in zip(scores, own, strict=True)
        ]
    )
    found = np.mean([model.compute_loss(batch, training=True).numpy() for _ in range(30)])  # 6,000 draws
    np.testing.assert_allclose(found, expected, rtol=0.03)


def test_sizes_and_modes_arrive():
    model = build(identifier_dropout=0.5, text_mode="finetuned", max_words=2, temperature=0.5, hard_negatives=4)
    candidates = model.candidate_tower.encoders
    assert set(candidates) == {"id", *catalogue().schema.candidates.features}
    assert set(model.query_tower.encoders) == {"id"} and HISTORY_LENGTH  # a history is not read
    assert (candidates["id"].dim, candidates["id"].dropout) == (4, 0.5)
    assert {name: candidates[name].dim for name in ("title", "photo", "genre")} == {"title": 5, "photo": 6, "genre": 6}
    assert type(candidates["title"]) is TextEncoder and type(candidates["photo"]) is ImageEncoder
    assert (candidates["title"].mode, candidates["photo"].mode, candidates["title"].max_words) == (
        "finetuned",
        "cached",
        2,
    )
    assert (model.temperature, model.negatives.hard) == (0.5, 4)
    assert model.build_towers() == 3 + 7 * 2 + 1


def test_ids_that_train_does_not_have_are_unknown():
    counts = [0, *statistics().candidate_counts[1:]]
    model = build(stats=statistics().model_copy(update={"candidate_counts": counts}))
    assert "c0" in statistics().chosen_candidate_ids
    assert "c0" not in model.candidate_tower.encoders["id"].vocabulary


def test_the_library_s_own_loss(monkeypatch):
    model = build(loss="auto")
    assert model.loss_name == "multinomial" and model.negatives == NegativeOptions()
    monkeypatch.setattr(loss_choice, "FULL_SOFTMAX_LIMIT", NUM_CANDIDATES - 1)
    model = build(loss="auto", global_batch_size=8)
    assert model.loss_name == "sampled_softmax" and model.negatives.kind == "uniform"
    assert build(loss="bpr", negatives="in_batch").negatives.kind == "in_batch"
    assert build(loss="sampled_softmax", negatives="mixed").streaming_frequency is not None


def test_without_features_it_is_refused():
    schema = catalogue().schema
    bare = schema.model_copy(update={"candidates": schema.candidates.model_copy(update={"features": {}})})
    with pytest.raises(UsageError, match="needs candidates with at least one feature.*take id_only with loss='bpr'"):
        build(bare)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "sizes must be at least 1, got dim=0, content_dim=2"),
        ({"content_dim": 0}, "sizes must be at least 1, got dim=3, content_dim=0"),
        ({"loss": "warp"}, "loss must be one of sampled_softmax, full_softmax, multinomial, bpr, hinge, got 'warp'"),
        ({"negatives": "easy"}, "negatives must be one of in_batch, uniform, popularity, mixed"),
        ({"loss": "multinomial", "negatives": "uniform"}, "multinomial counts every candidate"),
        ({"pretrained": {"price": "handle"}}, "pretrained: price is of kind number"),
    ],
)
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        build(**options)
