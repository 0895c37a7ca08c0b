"""Exact top-k over long rows, several times faster than `tf.math.top_k`."""

from __future__ import annotations

import math

import tensorflow as tf


def block_size_for(num_columns: int, k: int) -> int:
    """A block size for which both stages of `two_stage_top_k` have little to do.

    Near √(num_columns / k), where the number of blocks, and of columns inside k of them, is smallest; if
    possible one that divides `num_columns`, because then the rows need not be copied to pad them.

    Args:
        num_columns: the length of a row, at least 1.
        k: how many are asked for, at least 1.
    """
    ideal = max(1, min(round(math.sqrt(num_columns / k)), num_columns))
    near = range(max(1, ideal // 2), 2 * ideal + 1)
    dividing = [size for size in near if num_columns % size == 0]
    return min(dividing or [ideal], key=lambda size: abs(math.log(size / ideal)))


def two_stage_top_k(
    scores: tf.Tensor, k: int | tf.Tensor, block_size: int | tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """The k highest scores of each row and their columns, as `tf.math.top_k` gives them.

    Blocks of neighbouring columns are compared by their maxima first; only the k best blocks can hold one of
    the k best scores, so only they are looked into. Equal scores come lowest column first, which holds
    because blocks with equal maxima are also taken lowest first, and looked into in the order of their
    columns.

    Args:
        scores: `[batch, num_columns]` float; −inf is a score, NaN is not allowed.
        k: how many; more than there are columns is allowed.
        block_size: columns in a block; by default near √(num_columns / k), see `block_size_for`.

    Returns:
        Scores `[batch, k]` in descending order and columns int32 `[batch, k]`. Where a row has fewer than k
        columns, the rest holds −inf and column −1.
    """
    scores = tf.convert_to_tensor(scores)
    static_columns, static_k = scores.shape[1], tf.get_static_value(tf.convert_to_tensor(k))
    batch, num_columns = tf.shape(scores)[0], tf.shape(scores)[1]
    if block_size is None and static_columns is not None and static_k is not None:
        block_size = block_size_for(max(static_columns, 1), max(int(static_k), 1))
    elif block_size is None:
        ideal = tf.sqrt(tf.cast(num_columns, tf.float32) / tf.cast(tf.maximum(k, 1), tf.float32))
        block_size = tf.maximum(tf.cast(tf.round(ideal), tf.int32), 1)
    num_blocks = tf.maximum(-(-num_columns // block_size), 1)
    padded = _pad_columns(scores, num_blocks * block_size - num_columns)
    blocks = tf.reshape(padded, [batch, num_blocks, block_size])  # [batch, blocks, block_size]
    num_kept = tf.minimum(k, num_blocks)
    _, kept = tf.math.top_k(tf.reduce_max(blocks, axis=2), num_kept, sorted=False)
    kept = tf.sort(kept, axis=1)  # [batch, num_kept]
    inside = tf.reshape(tf.gather(blocks, kept, batch_dims=1), [batch, num_kept * block_size])
    inside = _pad_columns(inside, tf.maximum(k - num_kept * block_size, 0))
    values, places = tf.math.top_k(inside, k)  # [batch, k]
    # places past the kept blocks are padding; the clipped ones point anywhere and are overwritten below
    block = tf.gather(kept, tf.minimum(places // block_size, num_kept - 1), batch_dims=1)
    columns = block * block_size + places % block_size
    is_padding = (places >= num_kept * block_size) | (columns >= num_columns)
    return values, tf.where(is_padding, -1, columns)


def _pad_columns(scores: tf.Tensor, amount: int | tf.Tensor) -> tf.Tensor:
    amount = tf.convert_to_tensor(amount)
    lowest = tf.constant(-math.inf, scores.dtype)
    if tf.get_static_value(amount) == 0:
        return scores
    return tf.cond(amount > 0, lambda: tf.pad(scores, [[0, 0], [0, amount]], constant_values=lowest), lambda: scores)
