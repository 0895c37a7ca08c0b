"""Exact top-k over long rows, several times faster than `tf.math.top_k`."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from tfmmrec.search.called_graph import called


def block_size_for(num_columns: int, k: int) -> int:
    """A block size for which both stages of `two_stage_top_k` have little to do.

    Near √(num_columns / 4k): half of the size for which there are fewest block maxima and columns inside k blocks
    to compare, because a column is fetched at four times the price of a maximum. If possible one that divides
    `num_columns`, because then the rows need not be copied to pad them.

    Args:
        num_columns: the length of a row, at least 1.
        k: how many are asked for, at least 1.
    """
    ideal = max(1, min(round(math.sqrt(num_columns / k) / 2), num_columns))
    near = range(max(1, ideal // 2), 2 * ideal + 1)
    dividing = [size for size in near if num_columns % size == 0]
    return min(dividing or [ideal], key=lambda size: abs(math.log(size / ideal)))


def two_stage_top_k(
    scores: tf.Tensor, k: int | tf.Tensor, block_size: int | tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """The k highest scores of each row and their columns, as `tf.math.top_k` gives them.

    Blocks of columns are compared by their maxima first; only the k best blocks can hold one of the k best scores,
    so only they are looked into. Block j holds the columns j, j + num_blocks, j + 2 num_blocks …: its maximum is then
    one of `block_size` rows of numbers that stand side by side, which a processor compares many at a time. Equal
    scores come lowest column first; a row whose k-th score also stands in a block that was not looked into is ranked
    as a whole.

    Args:
        scores: `[batch, num_columns]` float; −inf is a score, NaN is not allowed.
        k: how many, at least 1; more than there are columns is allowed.
        block_size: columns in a block; by default near √(num_columns / 4k), see `block_size_for`.

    Returns:
        Scores `[batch, k]` in descending order and columns int32 `[batch, k]`. Where a row has fewer than k
        columns, the rest holds −inf and column −1. Which of the columns with a score of −inf come is not said.
    """
    scores = tf.convert_to_tensor(scores)
    found = _stages(scores, k, block_size)
    num_columns = tf.shape(scores)[1]

    def settled() -> tuple[tf.Tensor, tf.Tensor]:
        last, width = found.values[:, -1:], tf.shape(found.values)[1]
        ties_go_on = tf.where(tf.reduce_any((last == found.unseen) & (last > -math.inf), axis=1))  # [rows, 1]
        ranked_whole = tf.math.top_k(tf.gather_nd(found.padded, ties_go_on), width).indices
        own = tf.tensor_scatter_nd_update(found.columns, ties_go_on, ranked_whole)
        missing = [[0, 0], [0, k - width]]
        own = tf.pad(tf.where(own < num_columns, own, -1), missing, constant_values=-1)
        return tf.pad(found.values, missing, constant_values=tf.constant(-math.inf, found.values.dtype)), own

    return tf.cond(found.is_known, lambda: (found.values, found.columns), called(settled))


def top_k_without_ties(scores: tf.Tensor, k: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What `two_stage_top_k` gives when nothing is equal to the k-th score, and whether that is so.

    Returns:
        Scores and columns, at most `[batch, k]`, and bool scalar: whether they are right. They are not where a row has
        fewer than k scores above −inf, or others that are equal to its k-th.
    """
    found = _stages(scores, k, None)
    return found.values, found.columns, found.is_known


class _Stages(NamedTuple):
    """The best by both stages `[batch, at most k]`, whether they are settled, and what settles them."""

    values: tf.Tensor
    columns: tf.Tensor
    is_known: tf.Tensor
    padded: tf.Tensor
    unseen: tf.Tensor


def _stages(scores: tf.Tensor, k: int | tf.Tensor, block_size: int | tf.Tensor | None) -> _Stages:
    scores = tf.convert_to_tensor(scores)
    static_columns, static_k = scores.shape[1], tf.get_static_value(tf.convert_to_tensor(k))
    batch, num_columns = tf.shape(scores)[0], tf.shape(scores)[1]
    if block_size is None and static_columns is not None and static_k is not None:
        block_size = block_size_for(max(static_columns, 1), max(int(static_k), 1))
    elif block_size is None:
        ideal = tf.sqrt(tf.cast(num_columns, tf.float32) / tf.cast(tf.maximum(k, 1), tf.float32)) / 2
        block_size = tf.maximum(tf.cast(tf.round(ideal), tf.int32), 1)
    num_blocks = tf.maximum(-(-num_columns // block_size), 1)
    padded = _pad_columns(scores, num_blocks * block_size - num_columns)
    blocks = tf.reshape(padded, [batch, block_size, num_blocks])
    num_kept = tf.minimum(k, num_blocks)
    maxima, best = tf.math.top_k(tf.reduce_max(blocks, axis=1), tf.minimum(num_kept + 1, num_blocks))
    kept = -tf.math.top_k(-best[:, :num_kept], num_kept).values  # so that what is inside comes by columns
    inside = tf.gather(blocks, kept, axis=2, batch_dims=1)  # [batch, block_size, num_kept]
    inside = tf.reshape(inside, [batch, block_size * num_kept])
    width = tf.minimum(k, block_size * num_kept)
    values, places = tf.math.top_k(inside, width)
    columns = places // num_kept * num_blocks + tf.gather(kept, places % num_kept, batch_dims=1)
    last, unseen = values[:, -1:], maxima[:, num_kept:]
    is_known = tf.reduce_all(last > -math.inf) & tf.reduce_all(last > unseen) & (k <= num_columns)
    return _Stages(values, columns, is_known, padded, unseen)


def _pad_columns(scores: tf.Tensor, amount: tf.Tensor) -> tf.Tensor:
    if tf.get_static_value(amount) == 0:
        return scores
    missing = [[0, 0], [0, amount]]
    lowest = tf.constant(-math.inf, scores.dtype)
    return tf.cond(amount > 0, lambda: tf.pad(scores, missing, constant_values=lowest), lambda: scores)
