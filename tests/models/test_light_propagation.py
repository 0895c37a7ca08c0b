import numpy as np
import pytest
import tensorflow as tf

from tests.models.whole_graph import propagated
from tfmmrec.models.light_propagation import LightPropagation
from tfmmrec.sparse_graph import BipartiteGraph
from tfmmrec.types import UsageError


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_propagation_is_the_paper_s(num_layers):
    random = np.random.default_rng(0)
    adjacency = (random.random((7, 5)) < 0.4).astype(np.float64)
    adjacency[3] = 0.0
    adjacency[:, 2] = 0.0
    queries, candidates = random.normal(size=(7, 3)), random.normal(size=(5, 3))
    graph = BipartiteGraph(*np.nonzero(adjacency), 7, 5)
    as_float = (tf.constant(values, tf.float32) for values in (queries, candidates))
    found, pooled = LightPropagation(3, num_layers)(graph, *as_float)
    of_queries, of_candidates = propagated(adjacency, queries, candidates, num_layers)
    np.testing.assert_allclose(found, of_candidates, rtol=1e-4, atol=1e-6)
    root = np.maximum(adjacency.sum(axis=1, keepdims=True), 1) ** -0.5
    np.testing.assert_allclose(
        queries / (num_layers + 1) + root * (adjacency @ pooled), of_queries, rtol=1e-4, atol=1e-6
    )


def test_no_layer_is_refused():
    with pytest.raises(UsageError, match="num_layers must be at least 1, got 0"):
        LightPropagation(3, 0)
