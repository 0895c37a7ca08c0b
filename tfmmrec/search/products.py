"""Dot products of queries' vectors with a table of candidates' vectors."""

from __future__ import annotations

import tensorflow as tf


def dot_products(vectors: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
    """Of every query with every candidate.

    For a single query the table is multiplied by its vector, which reads the table as fast as memory gives it; the
    product of matrices that several queries need takes up to twice as long there.

    Args:
        vectors: float32 `[batch, dim]`.
        table: float32 `[n, dim]`.

    Returns:
        float32 `[batch, n]`, newly made.
    """

    def single() -> tf.Tensor:
        return tf.expand_dims(tf.linalg.matvec(table, vectors[0]), 0)

    def several() -> tf.Tensor:
        return tf.matmul(vectors, table, transpose_b=True)

    if vectors.shape[0] is None:
        return tf.cond(tf.shape(vectors)[0] == 1, single, several)
    return single() if vectors.shape[0] == 1 else several()
