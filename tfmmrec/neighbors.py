"""Graphs in which each row knows its nearest: found by cosines, and sums over them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import tensorflow as tf

_LOG = logging.getLogger(__name__)
_SIMILARITIES = 2**24  # held at a time while the nearest are looked for: 64 MiB
_LONG = 2**40  # products, from which on the log says how far it is


def nearest(vectors: tf.Tensor, num_neighbors: int) -> tf.Tensor:
    """Each row's nearest by the cosine, int64 `[n, min(num_neighbors, n)]`; see `nearest_cosines`."""
    return nearest_cosines(vectors, num_neighbors)[0]


def nearest_cosines(vectors: tf.Tensor, num_neighbors: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Each row's nearest by the cosine, itself among them, and those cosines.

    It takes n² dim products, but holds no more than 16 million cosines at a time. Where those are many, the log tells
    how far it is.

    Args:
        vectors: float32 `[n, dim]`; rows of zeros are absent: they have no neighbours and are nobody's.
        num_neighbors: how many.

    Returns:
        int64 and float32 `[n, min(num_neighbors, n)]`, nearest first; -1 and 0 where there is none.
    """
    vectors = tf.math.l2_normalize(tf.convert_to_tensor(vectors), axis=1)
    present = tf.reduce_any(vectors != 0.0, axis=1)  # [n]
    size = vectors.shape[0]
    rows = max(1, _SIMILARITIES // max(size, 1))
    neighbors, cosines, told = [], [], 0
    is_long = size * size * vectors.shape[1] >= _LONG
    for start in range(0, size, rows):
        tenths = 10 * start // size
        if is_long and tenths >= told:
            _LOG.info("the nearest of %d: %d %%", size, 10 * tenths)
            told = tenths + 1
        products = tf.matmul(vectors[start : start + rows], vectors, transpose_b=True)  # [rows, n]
        found, places = tf.math.top_k(tf.where(present, products, -2.0), min(num_neighbors, size))
        has_one = present[start : start + rows, None] & (found > -2.0)
        neighbors.append(tf.where(has_one, tf.cast(places, tf.int64), -1))
        cosines.append(tf.where(has_one, found, 0.0))
    return tf.concat(neighbors, axis=0), tf.concat(cosines, axis=0)


def in_blocks(function: Callable[[Any], tf.Tensor], inputs: Any, num_columns: int) -> tf.Tensor:
    """A function of rows, of as many at a time as it can hold 16 million numbers for.

    Args:
        function: tensors `[n, ...]`, in whatever structure `inputs` has -> float32 `[n, dim]`, each row by itself.
        inputs: tensors `[batch, ...]`.
        num_columns: how many numbers it holds for a row.

    Returns:
        float32 `[batch, dim]`.
    """
    size = max(1, _SIMILARITIES // max(num_columns, 1))
    batch = tf.shape(tf.nest.flatten(inputs)[0])[0]

    def step(start: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        block = tf.nest.map_structure(lambda tensor: tensor[start : start + size], inputs)
        return start + size, found.write(start // size, function(block))

    def by_blocks() -> tf.Tensor:
        found = tf.TensorArray(tf.float32, -(-batch // size), infer_shape=False, element_shape=[None, None])
        return tf.while_loop(lambda start, _: start < batch, step, (0, found), parallel_iterations=1)[1].concat()

    return tf.cond(batch <= size, lambda: function(inputs), by_blocks)


def normalized(neighbors: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """D^(-1/2) A D^(-1/2) of the matrix A that has weights at the neighbours, D the diagonal of its rows' sums.

    Args:
        neighbors: int64 `[n, num_neighbors]`, -1 for none.
        weights: float32 `[n, num_neighbors]`, 0 or more.

    Returns:
        float32 `[n, num_neighbors]`; 0 where there is no neighbour, or where a sum is zero.
    """
    weights = tf.where(neighbors >= 0, weights, 0.0)
    degrees = tf.reduce_sum(weights, axis=1)  # [n]
    has_edge = degrees > 0.0
    root = tf.where(has_edge, tf.math.rsqrt(tf.where(has_edge, degrees, 1.0)), 0.0)
    return weights * root[:, None] * tf.gather(root, tf.maximum(neighbors, 0))


def neighbor_sums(neighbors: tf.Tensor, weights: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    """Σ_k w_ik v_n(i,k): a product with a sparse matrix, forward and backward, so that sums have an order.

    Args:
        neighbors: int64 `[n, num_neighbors]`, -1 for none; a row may have another twice.
        weights: float32 `[n, num_neighbors]`.
        vectors: float32 `[n, dim]`.

    Returns:
        float32 `[n, dim]`.
    """
    neighbors = tf.convert_to_tensor(neighbors)

    @tf.custom_gradient
    def sums(weights, vectors):
        matrix = _matrix(neighbors, weights)

        def gradient(upstream):
            return neighbor_dots(neighbors, upstream, vectors), _times(_transposed(matrix), upstream)

        return _times(matrix, vectors), gradient

    return sums(tf.convert_to_tensor(weights), tf.convert_to_tensor(vectors))


def neighbor_dots(neighbors: tf.Tensor, left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """⟨l_i, r_n(i,k)⟩; 0 where there is no neighbour.

    Args:
        neighbors: int64 `[n, num_neighbors]`, -1 for none.
        left: float32 `[n, dim]`.
        right: float32 `[n, dim]`.

    Returns:
        float32 `[n, num_neighbors]`.
    """
    neighbors = tf.convert_to_tensor(neighbors)

    @tf.custom_gradient
    def dots(left, right):
        others = tf.gather(right, tf.maximum(neighbors, 0))  # [n, num_neighbors, dim]
        found = tf.where(neighbors >= 0, tf.linalg.matvec(others, left), 0.0)

        def gradient(upstream):
            matrix = _matrix(neighbors, upstream)
            return _times(matrix, right), _times(_transposed(matrix), left)

        return found, gradient

    return dots(tf.convert_to_tensor(left), tf.convert_to_tensor(right))


def _matrix(neighbors: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The square matrix in compressed rows."""
    size, width = neighbors.shape
    places = tf.repeat(tf.range(size, dtype=tf.int64), width)
    return tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.stack([places, tf.reshape(tf.maximum(neighbors, 0), [-1])], axis=1),
        values=tf.reshape(tf.where(neighbors >= 0, weights, 0.0), [-1]),
        dense_shape=tf.constant([size, size], tf.int64),
    )


def _transposed(matrix: tf.Tensor) -> tf.Tensor:
    # not by the product's own `transpose_a`, which adds up in whatever order its threads come
    return tf.raw_ops.SparseMatrixTranspose(input=matrix, type=tf.float32)


def _times(matrix: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.raw_ops.SparseMatrixMatMul(a=matrix, b=vectors), vectors.shape)
