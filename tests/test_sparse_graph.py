import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.sparse_graph import BipartiteGraph, inverse_root
from tfmmrec.types import UsageError

# query 0 chose 1 (twice) and 2, query 1 nothing, query 2 chose 1; candidate 0 and 3 were never chosen
QUERIES, CANDIDATES = [2, 0, 0, 0], [1, 2, 1, 1]
A = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]], np.float32)


def graph():
    return BipartiteGraph(QUERIES, CANDIDATES, num_queries=3, num_candidates=4)


def test_sums_over_neighbours_are_products_with_the_matrix():
    random = np.random.default_rng(0)
    candidates, queries = (random.normal(size=(size, 5)).astype(np.float32) for size in (4, 3))
    np.testing.assert_allclose(graph().sum_candidates(candidates), A @ candidates, rtol=1e-5)
    np.testing.assert_allclose(graph().sum_queries(queries), A.T @ queries, rtol=1e-5)


def test_gradients_go_back_along_the_edges():
    made, vectors = graph(), tf.Variable(tf.ones([4, 2]))
    factors = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(made.sum_candidates(vectors) * factors)
        return tape.gradient(total, vectors)

    np.testing.assert_allclose(gradient(), A.T @ factors)


def test_a_pair_counts_once():
    made = graph()
    assert made.num_edges == 3
    np.testing.assert_array_equal(made.query_degrees, A.sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(made.candidate_degrees, A.sum(axis=0)[:, None])
    np.testing.assert_allclose(inverse_root(made.query_degrees)[:, 0], [2**-0.5, 1.0, 1.0], rtol=1e-6)


def test_a_subgraph_has_some_of_the_edges_and_the_degrees_that_they_make():
    whole, vectors = graph(), np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32)
    np.testing.assert_array_equal(whole.edges, [[0, 1], [0, 2], [2, 1]])
    kept = tf.Variable([False, True, True])

    @tf.function
    def of_drawn(vectors):
        drawn = whole.subgraph(kept)
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            sums = drawn.sum_candidates(vectors)
            total = tf.reduce_sum(tf.square(sums))
        gradient = tape.gradient(total, vectors)
        back = drawn.sum_queries(sums)
        return sums, back, gradient, drawn.query_degrees, drawn.candidate_degrees, drawn.num_edges

    for places in ([False, True, True], [True, False, False]):
        kept.assign(places)
        adjacency = np.zeros_like(A)
        adjacency[tuple(whole.edges.numpy()[places].T)] = 1.0
        sums, back, gradient, of_queries, of_candidates, num_edges = of_drawn(tf.constant(vectors))
        np.testing.assert_allclose(sums, adjacency @ vectors, rtol=1e-5)
        np.testing.assert_allclose(back, adjacency.T @ adjacency @ vectors, rtol=1e-5)
        np.testing.assert_allclose(gradient, 2 * adjacency.T @ adjacency @ vectors, rtol=1e-5)
        np.testing.assert_array_equal(of_queries[:, 0], adjacency.sum(axis=1))
        np.testing.assert_array_equal(of_candidates[:, 0], adjacency.sum(axis=0))
        assert int(num_edges) == adjacency.sum()
    assert whole.num_edges == 3 and whole.query_degrees.numpy().ravel().tolist() == [2.0, 0.0, 1.0]


def test_a_graph_without_edges_gives_zeros():
    empty = BipartiteGraph([], [], num_queries=2, num_candidates=3)
    np.testing.assert_array_equal(empty.sum_candidates(tf.ones([3, 2])), np.zeros([2, 2]))
    np.testing.assert_array_equal(empty.sum_queries(tf.ones([2, 2])), np.zeros([3, 2]))


def test_rows_outside_their_side_are_refused():
    with pytest.raises(UsageError, match=r"candidate rows must lie in \[0, 4\), got 1 to 4"):
        BipartiteGraph([0, 1], [1, 4], num_queries=3, num_candidates=4)
    with pytest.raises(UsageError, match="query rows"):
        BipartiteGraph([-1], [1], num_queries=3, num_candidates=4)


def test_it_states_its_need_and_refuses_what_does_not_fit(caplog):
    with caplog.at_level("INFO", logger="tfmmrec"):
        graph()
    assert "a graph of 4 edges needs 0.0 MB of memory" in caplog.text
    with pytest.raises(UsageError, match="a graph of 4 edges needs .* max_bytes is .*; train on fewer interactions"):
        BipartiteGraph(QUERIES, CANDIDATES, num_queries=3, num_candidates=4, max_bytes=100)
