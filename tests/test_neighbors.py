import numpy as np
import pytest
import tensorflow as tf

import tfmmrec.neighbors
from tfmmrec.neighbors import in_blocks, nearest, nearest_cosines, neighbor_dots, neighbor_sums, normalized

# of 4: row 1 has only itself, row 3 has none, row 2 has row 0 twice; unsorted
NEIGHBORS = np.array([[2, 0, 1], [1, -1, -1], [0, 2, 0], [-1, -1, -1]])


def dense(weights):
    """The matrix with the weights at the neighbours."""
    matrix = np.zeros((4, 4))
    for row, (places, values) in enumerate(zip(NEIGHBORS, weights, strict=True)):
        for place, value in zip(places, values, strict=True):
            if place >= 0:
                matrix[row, place] += value
    return matrix


def drawn(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("at_a_time", [2**24, 7])
def test_nearest_by_the_cosine_among_what_is_there(monkeypatch, at_a_time):
    monkeypatch.setattr(tfmmrec.neighbors, "_SIMILARITIES", at_a_time)
    vectors = np.array([[1, 0], [0, 5], [0, 0], [3, 1], [-1, 0]], np.float32)
    found = nearest(tf.constant(vectors), 4)
    np.testing.assert_array_equal(found, [[0, 3, 1, 4], [1, 3, 0, 4], [-1, -1, -1, -1], [3, 0, 1, 4], [4, 1, 3, 0]])
    assert nearest(tf.constant(vectors), 9).shape == (5, 5)
    _, cosines = nearest_cosines(tf.constant(vectors), 4)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    expected = np.take_along_axis(unit @ unit.T, np.maximum(found, 0), axis=1)
    np.testing.assert_allclose(cosines, np.where(found.numpy() >= 0, expected, 0), atol=1e-6)


def test_long_work_is_told(monkeypatch, caplog):
    vectors = tf.constant(drawn(8, 3))
    monkeypatch.setattr(tfmmrec.neighbors, "_SIMILARITIES", 8)
    with caplog.at_level("INFO", logger="tfmmrec"):
        nearest(vectors, 2)
        assert not caplog.messages
        monkeypatch.setattr(tfmmrec.neighbors, "_LONG", 8 * 8 * 3)
        nearest(vectors, 2)
    assert caplog.messages == [f"the nearest of 8: {share} %" for share in (0, 10, 20, 30, 50, 60, 70, 80)]


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_a_function_of_rows_in_blocks(monkeypatch, batch):
    monkeypatch.setattr(tfmmrec.neighbors, "_SIMILARITIES", 7)
    inputs, sizes = {"a": tf.ones([batch, 2]), "b": tf.range(batch)}, []

    def function(part):
        sizes.append(len(part["b"]))
        return part["a"] * tf.cast(part["b"], tf.float32)[:, None]

    np.testing.assert_array_equal(in_blocks(function, inputs, 3), np.arange(batch)[:, None] * [1, 1])
    assert sizes == {0: [0], 1: [1], 5: [2, 2, 1]}[batch]


def test_normalized_is_symmetric_by_the_sums_of_rows():
    weights = np.abs(drawn(4, 3))
    found = normalized(tf.constant(NEIGHBORS), tf.constant(weights))
    degrees = dense(weights).sum(axis=1)
    root = np.where(degrees > 0, np.maximum(degrees, 1e-9) ** -0.5, 0.0)
    np.testing.assert_allclose(dense(found.numpy()), root[:, None] * dense(weights) * root, rtol=1e-5)
    assert found.numpy()[NEIGHBORS < 0].tolist() == [0.0] * 5


def test_sums_are_products_with_the_matrix():
    weights, vectors, factors = drawn(4, 3), drawn(4, 2), drawn(4, 2) + 1
    np.testing.assert_allclose(neighbor_sums(NEIGHBORS, weights, vectors), dense(weights) @ vectors, rtol=1e-5)
    weights, vectors = tf.Variable(weights), tf.Variable(vectors)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(neighbor_sums(NEIGHBORS, weights, vectors) * factors)
        return tape.gradient(total, [weights, vectors])

    of_weights, of_vectors = gradients()
    np.testing.assert_allclose(of_vectors, dense(weights.numpy()).T @ factors, rtol=1e-5, atol=1e-6)
    expected = np.einsum("nd,nkd->nk", factors, vectors.numpy()[NEIGHBORS])
    np.testing.assert_allclose(of_weights, np.where(NEIGHBORS >= 0, expected, 0), rtol=1e-5, atol=1e-6)


def test_dots_with_neighbours():
    left, right, factors = drawn(4, 2), drawn(4, 2) - 1, drawn(4, 3)
    expected = np.where(NEIGHBORS >= 0, np.einsum("nd,nkd->nk", left, right[NEIGHBORS]), 0)
    np.testing.assert_allclose(neighbor_dots(NEIGHBORS, left, right), expected, rtol=1e-5)
    left, right = tf.Variable(left), tf.Variable(right)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(neighbor_dots(NEIGHBORS, left, right) * factors)
    of_left, of_right = tape.gradient(total, [left, right])
    np.testing.assert_allclose(of_left, dense(factors) @ right.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(of_right, dense(factors).T @ left.numpy(), rtol=1e-5, atol=1e-6)
