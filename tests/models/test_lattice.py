import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, NUM_QUERIES, ModelCase, catalogue, ready, statistics
from tests.models.whole_graph import content_graph, propagated
from tfmmrec.models.lattice import build_lattice
from tfmmrec.types import UsageError

SMALL = {
    "dim": 5,
    "feature_dim": 6,
    "text_dim": 5,
    "image_size": 16,
    "num_graph_neighbors": 3,
    "projection_dim": 4,
    "frozen_weight": 0.6,
}


def made(**options):
    return ready(ModelCase("lattice", "lattice", SMALL | options))


def of_whole_graph(model):
    """The vectors of all queries and of the known candidates, by the paper's equations."""
    train = catalogue().train
    adjacency = np.zeros((NUM_QUERIES, NUM_CANDIDATES))
    for query in range(NUM_QUERIES):
        adjacency[query, train.candidates_of(query)] = 1.0
    own = [tower.encoders["id"].embeddings.numpy() for tower in (model.query_tower, model.candidate_tower)]
    queries, candidates = propagated(adjacency[:, train.counts() > 0], *own, 2)
    logits, latent = model.propagation.modality_logits.numpy(), 0.0
    shares = np.exp(logits) / np.exp(logits).sum()
    for share, name in zip(shares, ["look", "photo", "title"], strict=True):
        vectors, project = model.candidate_tower.fusion.content[name].numpy(), model.propagation.projections[name]
        projected = vectors @ project.kernel.numpy() + project.bias.numpy()
        projected[np.abs(vectors).max(axis=1) == 0] = 0.0
        frozen, learned = (content_graph(of, 3, lambda cosine: max(cosine, 0.0)) for of in (vectors, projected))
        latent += share * (0.6 * frozen + 0.4 * learned)
    brought = latent @ own[1]
    return queries, candidates + brought / np.maximum(np.linalg.norm(brought, axis=1, keepdims=True), 1e-12)


@pytest.mark.parametrize("options", [{}, {"loss": "full_softmax"}])
def test_towers_give_what_the_whole_graphs_give(options):
    fitted = made(**options)
    fitted.fit(2)
    queries, candidates = of_whole_graph(fitted.model)
    if options:
        queries, candidates = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, candidates))
    known = catalogue().train.counts() > 0
    found_candidates, found_queries = fitted.vectors()
    np.testing.assert_allclose(found_candidates[known], candidates, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found_queries, queries, rtol=1e-4, atol=1e-5)
    assert (np.abs(found_candidates[~known]).max(axis=1) > 0).all()  # by their content


def test_the_loss_is_that_of_the_whole_graphs_vectors():
    built = made(num_negatives=7, l2=0.0)
    model, batch = built.model, built.stream.batch(0)
    queries, candidates = of_whole_graph(model)
    known = np.flatnonzero(catalogue().train.counts() > 0)
    scores = queries[batch["query"]["id"]["row"]] @ candidates.T
    positives = np.searchsorted(known, batch["candidate_rows"][batch["positive"]])
    drawn = np.searchsorted(known, model.negative_sampler(training=False)[0].numpy())
    losses = np.log1p(np.exp(scores[:, drawn] - scores[np.arange(len(scores)), positives][:, None]))
    counts = drawn[None, :] != positives[:, None]
    expected = (losses * counts).sum(axis=1) / counts.sum(axis=1)
    found = model.compute_loss(tf.nest.map_structure(tf.constant, batch), training=False)
    np.testing.assert_allclose(found, expected.mean(), rtol=1e-4)


def test_a_query_outside_the_graph_is_its_history_s():
    fitted = made()
    fitted.fit(1)
    table = fitted.embedder.history_vectors()
    inputs = {"id": {"row": tf.constant([-1])}, "history": {"rows": tf.constant([[3, 7, -1]])}}
    found = fitted.model.embed_queries(inputs, tf.constant(table))
    np.testing.assert_allclose(found, [(table[3] + table[7]) / 2**0.5], rtol=1e-4, atol=1e-6)


def test_neighbours_are_looked_up_when_tables_are_made():
    model = made().model
    before = model.propagation.neighbors.numpy()
    for project in model.propagation.projections.values():
        project.kernel.assign(tf.random.stateless_normal(project.kernel.shape, [1, 2]))
    np.testing.assert_array_equal(model.propagation.neighbors, before)
    model.materialize()
    assert (model.propagation.neighbors.numpy() != before).any()


def test_training_needs_the_catalogue():
    model = build_lattice(catalogue().schema, statistics(), **SMALL)
    model.build_towers()
    model.set_graph(catalogue().train)
    with pytest.raises(UsageError, match="call set_catalogue before training"):
        model.training_graph({})


def test_candidates_without_content_are_refused():
    schema = catalogue().schema
    bare = schema.model_copy(update={"candidates": schema.candidates.model_copy(update={"features": {}})})
    with pytest.raises(UsageError, match="lattice needs candidates with a text, image, .* or vector"):
        build_lattice(bare, statistics(), **SMALL)
