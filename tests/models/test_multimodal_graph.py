import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, NUM_QUERIES, ModelCase, catalogue, ready, statistics
from tests.models.whole_graph import propagated
from tfmmrec.models.multimodal_graph import build_multimodal_graph
from tfmmrec.types import UsageError

SMALL = {"dim": 5, "feature_dim": 6, "text_dim": 5, "image_size": 16}


def test_towers_give_what_the_whole_graph_gives():
    made = ready(ModelCase("multimodal_graph", "multimodal_graph", SMALL))
    made.fit(2)
    train, model = catalogue().train, made.model
    adjacency = np.zeros((NUM_QUERIES, NUM_CANDIDATES))
    for query in range(NUM_QUERIES):
        adjacency[query, train.candidates_of(query)] = 1.0
    known = train.counts() > 0
    queries, candidates = (
        tower.encoders["id"].embeddings.numpy() for tower in (model.query_tower, model.candidate_tower)
    )
    for project, (_, content) in zip(
        model.propagation.projections, sorted(model.candidate_tower.fusion.content.items()), strict=True
    ):
        candidates = candidates + content.numpy() @ project.kernel.numpy()
    of_queries, of_candidates = (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for vectors in propagated(adjacency[:, known], queries, candidates, 2)
    )
    found_candidates, found_queries = made.vectors()
    np.testing.assert_allclose(found_candidates[known], of_candidates, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found_queries, of_queries, rtol=1e-4, atol=1e-5)


def test_a_candidate_outside_the_graph_has_vectors_by_its_content():
    made = ready(ModelCase("multimodal_graph", "multimodal_graph", SMALL))
    made.fit(1)
    cold = catalogue().train.counts() == 0
    for vectors in (made.embedder.candidates(), made.embedder.history_vectors()):
        assert (np.abs(vectors[cold]).max(axis=1) > 0).all()


def batch(pairs):
    """A batch of pairs of query and candidate rows, as `InteractionBatches` gives it."""
    queries, candidates = (tf.constant(rows, tf.int32) for rows in zip(*pairs, strict=True))
    return {"query": {"id": {"row": queries}}, "candidate_rows": candidates, "positive": tf.range(len(pairs))}


def test_a_step_propagates_without_its_own_edges():
    model = ready(ModelCase("multimodal_graph", "multimodal_graph", SMALL)).model
    train = catalogue().train
    own = [(0, int(train.candidates_of(0)[0])), (3, int(train.candidates_of(3)[1]))]
    absent = (5, next(row for row in range(NUM_CANDIDATES) if row not in train.candidates_of(5)))
    part = model.training_graph(batch([*own, own[0], absent]))
    degrees = np.array([len(set(train.candidates_of(query))) for query in range(NUM_QUERIES)], np.float32)
    np.testing.assert_array_equal(part.query_degrees[:, 0], degrees - np.eye(NUM_QUERIES)[[0, 3]].sum(axis=0))
    kept = {tuple(edge) for edge in part.edges.numpy()}
    known = np.cumsum(train.counts() > 0) - 1
    assert not kept & {(query, known[candidate]) for query, candidate in own}
    assert len(kept) == model.training_graph(batch([absent])).edges.shape[0] - 2


def test_with_its_own_edges_on_request():
    model = ready(ModelCase("multimodal_graph", "multimodal_graph", SMALL | {"hold_out": False})).model
    assert model.training_graph(batch([(0, int(catalogue().train.candidates_of(0)[0]))])) is model._graph


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"num_layers": 0}, "num_layers must be at least 1"), ({"loss": "hinge"}, "loss must be one of")],
)
def test_what_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        build_multimodal_graph(catalogue().schema, statistics(), **wrong)
