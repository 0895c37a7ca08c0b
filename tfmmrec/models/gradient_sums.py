"""Sums of gradients, those of embedding tables by rows."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

Gradient = tf.Tensor | tf.IndexedSlices | None
"""Of one variable: None where the loss does not depend on it."""


def summed(one: Sequence[Gradient], other: Sequence[Gradient]) -> list[Gradient]:
    """The sum of two lists of gradients, variable by variable.

    Rows of a table that have a gradient in either stay rows, each of them once: a sum over many batches never takes
    more memory than the rows that they touched, nor more than the table.
    """
    return [_sum(first, second) for first, second in zip(one, other, strict=True)]


def divided(gradients: Sequence[Gradient], number: int) -> list[Gradient]:
    """Each gradient by a number; a gradient in rows stays one."""
    return [_divided(gradient, number) for gradient in gradients]


def whole_rows(gradient: Gradient) -> Gradient:
    """A gradient in which every row of the variable stands once."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.shape(rows)[0])
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def whole_gradient(gradient: Gradient) -> tf.Tensor | None:
    """A gradient of the variable's own shape: one in rows has zeros for all others."""
    return None if gradient is None else tf.convert_to_tensor(gradient)


def tensors_of(gradients: Sequence[Gradient]) -> list[tf.Tensor]:
    """All tensors that gradients consist of."""
    return [part for part in tf.nest.flatten(list(gradients), expand_composites=True) if part is not None]


def _sum(one: Gradient, other: Gradient) -> Gradient:
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, tf.IndexedSlices) and isinstance(other, tf.IndexedSlices):
        values = tf.concat([one.values, other.values], axis=0)
        rows = tf.concat([one.indices, tf.cast(other.indices, one.indices.dtype)], axis=0)
        return whole_rows(tf.IndexedSlices(values, rows, one.dense_shape))
    return tf.convert_to_tensor(one) + tf.convert_to_tensor(other)


def _divided(gradient: Gradient, number: int) -> Gradient:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(gradient.values / number, gradient.indices, gradient.dense_shape)
    return None if gradient is None else gradient / number
