import numpy as np
import pytest
import tensorflow as tf

from tests.models.whole_graph import content_graph, propagated
from tfmmrec.models.frozen_propagation import FrozenPropagation
from tfmmrec.sparse_graph import BipartiteGraph
from tfmmrec.types import UsageError

ADJACENCY = np.array([[1, 1, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 0, 0, 1, 1]], np.float64)


def drawn(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def content():
    """Of five candidates: the second has no image, the last nothing."""
    found = {"image": drawn(5, 3), "text": drawn(5, 4)}
    found["image"][[1, 4]] = 0.0
    found["text"][4] = 0.0
    return found


@pytest.mark.parametrize("num_content_layers", [1, 2])
def test_z_is_lightgcn_s_and_what_the_frozen_graph_brings(num_content_layers):
    layer = FrozenPropagation(2, 2, num_content_layers)
    weights = {"image": 0.3, "text": 0.9}
    layer.freeze({name: tf.constant(vectors) for name, vectors in content().items()}, 2, weights)
    queries, candidates = drawn(4, 2), drawn(5, 2)
    found, pooled = layer(BipartiteGraph(*np.nonzero(ADJACENCY), 4, 5), queries, candidates)
    of_queries, of_candidates = propagated(ADJACENCY, queries, candidates, 2)
    has = {name: np.abs(vectors).max(axis=1) > 0 for name, vectors in content().items()}
    total = sum(weights[name] * has[name] for name in weights)
    graph = sum(
        (weights[name] / np.maximum(total, 1e-9))[:, None] * content_graph(vectors, 2, lambda cosines: 1.0)
        for name, vectors in content().items()
    )
    assert graph[1].sum() == pytest.approx(1.0) and (graph[4] == 0).all()
    expected = of_candidates + np.linalg.matrix_power(graph, num_content_layers) @ candidates
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    root = np.maximum(ADJACENCY.sum(axis=1, keepdims=True), 1) ** -0.5
    np.testing.assert_allclose(queries / 3 + root * (ADJACENCY @ pooled), of_queries, rtol=1e-4, atol=1e-6)


def test_before_there_is_a_frozen_graph_it_is_lightgcn_s():
    found, _ = FrozenPropagation(2, 1)(BipartiteGraph(*np.nonzero(ADJACENCY), 4, 5), drawn(4, 2), drawn(5, 2))
    np.testing.assert_allclose(found, propagated(ADJACENCY, drawn(4, 2), drawn(5, 2), 1)[1], rtol=1e-4, atol=1e-6)


def test_what_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="num_content_layers must be at least 1, got 0; without take lightgcn"):
        FrozenPropagation(2, 2, 0)
    monkeypatch.setattr("tfmmrec.memory.available_bytes", lambda: 1000)
    with pytest.raises(UsageError, match="the graph of candidates by content needs .* take fewer num_graph_neighbors"):
        FrozenPropagation(2, 2).freeze({"text": tf.constant(drawn(5, 4))}, 2, {"text": 1.0})
