import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.fusion.content_graph import ContentGraph
from tfmmrec.types import UsageError

NUM, DIM, NEIGHBORS = 9, 3, 4


def units(seed, num):
    vectors = np.random.default_rng(seed).normal(size=(num, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def made(in_order=False):
    """A graph and its reference set, in which number 2 is absent."""
    reference = units(0, NUM)
    reference[2] = 0.0
    graph = ContentGraph(NUM, NEIGHBORS, in_order)
    graph(tf.constant(reference))  # creates the weights
    graph.set_reference(reference)
    return graph, reference


def weights_of(vectors, reference):
    """Cosines `[n, NUM]` of the nearest, zero for all others; of itself, which is nearest of all, as well."""
    cosines = vectors @ reference.T
    least = np.sort(cosines, axis=1)[:, -NEIGHBORS - 1, None]
    return np.where(cosines >= least, np.maximum(cosines, 0.0), 0.0)


def test_the_reference_set_is_the_formula_s():
    graph, reference = made()
    adjacency = weights_of(reference, reference)
    np.testing.assert_allclose(np.diag(adjacency), np.arange(NUM) != 2, rtol=1e-5)
    root = np.maximum(adjacency.sum(axis=1), 1e-9) ** -0.5 * (np.arange(NUM) != 2)
    expected = (root[:, None] * adjacency * root) @ reference
    found = graph(tf.constant(reference), rows=tf.range(NUM)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found[2], np.zeros(DIM))
    assert np.abs(found - reference).max() > 0.1


def test_whoever_is_not_in_it_has_edges_as_if_it_came_last():
    graph, reference = made()
    new = units(1, 5)
    new[4] = 0.0
    cosines = np.maximum(new @ reference.T, 0.0)
    cosines *= cosines >= np.sort(cosines, axis=1)[:, -NEIGHBORS, None]
    degrees = np.maximum(weights_of(reference, reference).sum(axis=1), 1.0)
    own = 1.0 + cosines.sum(axis=1, keepdims=True)
    expected = new / own + (cosines / np.sqrt(own * degrees)) @ reference
    np.testing.assert_allclose(graph(tf.constant(new)), expected, rtol=1e-4, atol=1e-6)
    found = graph(tf.constant(new), rows=tf.constant([-1, -1, 3, -1, 0]))  # what it is now is not what is kept
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found[4], np.zeros(DIM))


def test_looked_up_or_looked_for_in_one_batch():
    graph, reference = made()
    mixed = np.concatenate([reference[5:6], units(1, 1)])
    found = graph(tf.constant(mixed), rows=tf.constant([5, -1]))
    np.testing.assert_allclose(found[0], graph(tf.constant(reference), rows=tf.range(NUM))[5])
    np.testing.assert_allclose(found[1], graph(tf.constant(mixed[1:]))[0], rtol=1e-5, atol=1e-7)


def noted_sizes(graph, monkeypatch):
    """How many rows have their neighbours looked for at a time."""
    sizes, look = [], graph._of_nearest
    monkeypatch.setattr(graph, "_of_nearest", lambda vectors: (sizes.append(len(vectors)), look(vectors))[1])
    return sizes


def test_the_whole_set_in_its_order_is_looked_up_where_nobody_says_rows(monkeypatch):
    graph, reference = made(in_order=True)
    alone = np.concatenate([graph(tf.constant(reference[row : row + 1])) for row in range(NUM)])
    np.testing.assert_allclose(alone, made()[0](tf.constant(reference)), rtol=1e-4, atol=1e-6)
    changed = reference.copy()
    changed[[0, 4]] = units(1, 2)
    expected = made()[0](tf.constant(changed))
    sizes = noted_sizes(graph, monkeypatch)
    np.testing.assert_allclose(graph(tf.constant(reference)), alone, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(graph(tf.constant(changed)), expected, rtol=1e-4, atol=1e-6)
    assert sizes == [0, 2]


def test_neighbours_are_looked_for_some_rows_at_a_time(monkeypatch):
    graph, _ = made()
    new = tf.constant(units(1, 7))
    expected = graph(new)
    monkeypatch.setattr("tfmmrec.neighbors._SIMILARITIES", 3 * NUM)
    sizes = noted_sizes(graph, monkeypatch)
    np.testing.assert_allclose(graph(new), expected, rtol=1e-5, atol=1e-7)
    assert sizes == [3, 3, 1]
    np.testing.assert_allclose(tf.function(graph)(new), expected, rtol=1e-5, atol=1e-7)


def test_without_a_reference_set_everybody_is_alone():
    graph = ContentGraph(NUM, NEIGHBORS)
    vectors = tf.constant(units(1, 3))
    np.testing.assert_array_equal(graph(vectors), vectors)
    np.testing.assert_array_equal(graph(vectors, rows=tf.constant([0, 1, -1])), vectors)


def test_a_reference_set_smaller_than_the_neighbors():
    graph = ContentGraph(2, 10)
    vectors = units(0, 2)
    graph(tf.constant(vectors))
    graph.set_reference(vectors)
    assert np.isfinite(graph(tf.constant(units(1, 3)))).all()
    config = ContentGraph.from_config(graph.get_config()).get_config()
    assert (config["num_reference"], config["num_neighbors"]) == (2, 10)


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0)])
def test_sizes_are_checked(sizes):
    with pytest.raises(UsageError, match="num_reference and num_neighbors must be at least 1"):
        ContentGraph(*sizes)
