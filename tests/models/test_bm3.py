import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, NUM_QUERIES, ModelCase, catalogue, ready, statistics
from tests.models.whole_graph import propagated
from tfmmrec.models.bm3 import build_bm3
from tfmmrec.types import UsageError

SMALL = {"dim": 5, "feature_dim": 6, "text_dim": 5, "image_size": 16}


def made(**options):
    return ready(ModelCase("bm3", "bm3", SMALL | options))


def of_whole_graph(model, num_layers=1):
    """h of all queries and of the known candidates, by the paper's equations."""
    train = catalogue().train
    adjacency = np.zeros((NUM_QUERIES, NUM_CANDIDATES))
    for query in range(NUM_QUERIES):
        adjacency[query, train.candidates_of(query)] = 1.0
    own = [tower.encoders["id"].embeddings.numpy() for tower in (model.query_tower, model.candidate_tower)]
    queries, candidates = propagated(adjacency[:, train.counts() > 0], *own, num_layers)
    return queries, candidates + own[1]


def times(dense, vectors):
    return vectors @ dense.kernel.numpy() + dense.bias.numpy()


def unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def distance(one, other):
    return 1.0 - (unit(one) * unit(other)).sum(axis=1)


def of_a_batch(built):
    """h of a batch's queries and candidates, and of each modality with whether it is there; positives."""
    batch = built.stream.batch(0)
    known = np.flatnonzero(catalogue().train.counts() > 0)
    positives = np.searchsorted(known, batch["candidate_rows"][batch["positive"]])
    queries, candidates = of_whole_graph(built.model)
    content = []
    for name, project in built.model.projections.items():
        vectors = built.model.candidate_tower.fusion.content[name].numpy()[positives]
        content.append((times(project, vectors), np.abs(vectors).max(axis=1) > 0))
    return batch, queries[batch["query"]["id"]["row"]], candidates, content, positives


def bootstrap(model, queries, candidates, content):
    losses = distance(times(model.predictor, queries), candidates) + distance(
        times(model.predictor, candidates), queries
    )
    for vectors, present in content:
        predicted = times(model.predictor, vectors)
        losses += 1.5 * present * (distance(predicted, candidates) + distance(predicted, vectors))
    return losses


@functools.cache
def fitted_by(**options):
    """After two steps."""
    fitted = made(**options)
    fitted.fit(2)
    return fitted


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"loss": "full_softmax"}])
def test_towers_give_what_the_whole_graph_gives(options):
    fitted = fitted_by(**options)
    vectors = of_whole_graph(fitted.model, options.get("num_layers", 1))
    queries, candidates = (times(fitted.model.predictor, found) for found in vectors)
    if fitted.model.normalize:
        queries, candidates = unit(queries), unit(candidates)
    known = catalogue().train.counts() > 0
    found_candidates, found_queries = fitted.vectors()
    np.testing.assert_allclose(found_candidates[known], candidates, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found_queries, queries, rtol=1e-4, atol=1e-5)
    assert np.abs(fitted.model.predictor.bias).max() > 0
    np.testing.assert_array_equal(fitted.model.finish(tf.zeros([1, 5])), np.zeros((1, 5)))
    assert (np.abs(found_candidates[~known]).max(axis=1) > 1e-5).all()  # they have vectors, by their content


def test_a_query_outside_the_graph_is_its_history_s():
    fitted = fitted_by(num_layers=2)
    table = fitted.embedder.history_vectors()
    inputs = {"id": {"row": tf.constant([-1])}, "history": {"rows": tf.constant([[3, 7, -1]])}}
    found = fitted.model.embed_queries(inputs, tf.constant(table))
    expected = times(fitted.model.predictor, (table[3:4] + table[7:8]) / 2**0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_bootstrap_loss():
    built = made(alignment_weight=1.5, l2=0.2)
    batch, queries, candidates, content, positives = of_a_batch(built)
    assert not all(present.all() for _, present in content)
    candidates = candidates[positives]
    expected = bootstrap(built.model, queries, candidates, content)
    expected += 0.2 * ((queries**2).sum(axis=1) + (candidates**2).sum(axis=1))
    found = built.model.compute_loss(tf.nest.map_structure(tf.constant, batch), training=False)
    np.testing.assert_allclose(found, expected.mean(), rtol=1e-4)


@pytest.mark.parametrize("loss", ["full_softmax", "bpr"])
def test_another_loss_with_the_bootstrap_loss_beside(loss):
    built = made(loss=loss, alignment_weight=1.5, bootstrap_weight=0.3, l2=0.0, num_negatives=7)
    batch, queries, candidates, content, positives = of_a_batch(built)
    model = built.model
    predicted, table = times(model.predictor, queries), times(model.predictor, candidates)
    if loss == "full_softmax":
        logits = unit(predicted) @ unit(table).T / 0.2
        expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), positives]
    else:
        known = np.flatnonzero(catalogue().train.counts() > 0)
        drawn = np.searchsorted(known, model.negative_sampler(training=False)[0].numpy())
        scores = predicted @ table.T
        losses = np.log1p(np.exp(scores[:, drawn] - scores[np.arange(len(scores)), positives][:, None]))
        counts = drawn[None, :] != positives[:, None]
        expected = (losses * counts).sum(axis=1) / counts.sum(axis=1)
    expected += 0.3 * bootstrap(model, queries, candidates[positives], content)
    found = model.compute_loss(tf.nest.map_structure(tf.constant, batch), training=False)
    np.testing.assert_allclose(found, expected.mean(), rtol=1e-4)


def test_targets_lose_numbers_in_training_and_get_no_gradient():
    built = made(dropout=0.5, l2=0.0)
    batch, *_ = of_a_batch(built)
    batch = tf.nest.map_structure(tf.constant, batch)
    still = [float(built.model.compute_loss(batch, training=False)) for _ in range(2)]
    moving = [float(built.model.compute_loss(batch, training=True)) for _ in range(2)]
    assert still[0] == still[1] and len({*still, *moving}) == 3
    vectors = tf.Variable(np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32))
    rows = tf.constant([0, 1, 2])
    with tf.GradientTape() as tape:  # a predictor of nothing: what is left are the targets
        built.model.predictor.kernel.assign(tf.zeros([5, 5]))
        built.model.predictor.bias.assign(tf.ones([5]))
        loss = built.model.row_losses(vectors, tf.identity(vectors), rows, rows[:0], training=True)
    assert np.abs(tape.gradient(loss, vectors)).max() == 0


def test_defaults_follow_the_loss():
    model = build_bm3(catalogue().schema, statistics(), **SMALL)
    assert model.loss_name == "bootstrap" and not model.normalize and model.negative_sampler is None
    model = build_bm3(catalogue().schema, statistics(), loss="full_softmax", **SMALL)
    assert model.normalize and model.temperature == 0.2 and not model.query_tower.normalize


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"loss": "hinge"}, "loss must be one of bootstrap, bpr, full_softmax, got 'hinge'"),
        ({"alignment_weight": -1.0}, "bootstrap_weight, alignment_weight and l2 must be 0 or more"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\)"),
    ],
)
def test_what_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        build_bm3(catalogue().schema, statistics(), **(SMALL | wrong))


def test_candidates_without_content_are_refused():
    schema = catalogue().schema
    bare = schema.model_copy(update={"candidates": schema.candidates.model_copy(update={"features": {}})})
    with pytest.raises(UsageError, match="bm3 needs candidates with a text, image, .* or vector"):
        build_bm3(bare, statistics(), **SMALL)
