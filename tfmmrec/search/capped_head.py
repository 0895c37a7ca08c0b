"""The best candidates within a least score and with at most so many of each category."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfmmrec.search.called_graph import called

Head = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""A length, int32 scalar -> the best so many of each row: scores `[batch, length]`, descending, −inf where there are no
more, and rows of the index int32 `[batch, length]`."""

Categories = Callable[[tf.Tensor], tf.Tensor]
"""Rows of the index, int32 `[batch, n]` -> the category of each, -1 for no category, which is never full."""


def capped_head(
    head: Head,
    first: tuple[tf.Tensor, tf.Tensor] | None,
    categories_of: Categories,
    num_candidates: tf.Tensor,
    cap: tf.Tensor,
    min_score: tf.Tensor,
    wanted: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Takes candidates in the order of their scores and skips those whose category is full.

    A head of each row is ranked, which is right as far as it reaches, and made longer until every row has what it wants
    or has nothing left.

    Args:
        head: gives the best.
        first: scores and rows as `head` gives them, which stand before all that it gives; None for nothing.
        categories_of: gives the candidates' categories.
        num_candidates: how many there are.
        cap: int32 `[batch]`, how many of a category; 0 or less for no cap.
        min_score: float32 `[batch]`, lower scores are left out; NaN for no bound.
        wanted: int32 `[batch]`, how many candidates each row is to have.

    Returns:
        Scores `[batch, width]` in descending order and rows int32 `[batch, width]`, for the largest number that is
        wanted; −inf, and any row, beyond what a row has or wants.
    """
    width = tf.reduce_max(tf.concat([wanted, [0]], 0))
    least = tf.where(tf.math.is_nan(min_score), -float("inf"), min_score)[:, None]

    def kept(values: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        if first is not None:
            values, rows = (tf.concat(pair, axis=1) for pair in zip(first, (values, rows), strict=True))
        values = tf.where(values >= least, values, -float("inf"))
        return within_cap(values, rows, categories_of, cap), rows, values[:, -1]

    def is_short(length, values, _, last) -> tf.Tensor:
        found = tf.reduce_sum(tf.cast(values > -float("inf"), tf.int32), axis=1)
        return (length < num_candidates) & tf.reduce_any((found < wanted) & (last > -float("inf")))

    def lengthen(length, *_):
        longer = tf.maximum(4 * length, tf.maximum(width, 1))
        return longer, *called(lambda wider: kept(*head(wider)))(longer)

    if first is None:
        length = tf.maximum(tf.where(tf.reduce_any(cap > 0), 4 * width, width), 1)
        begun = kept(*head(length))
    else:
        length, nothing = tf.constant(0), tf.zeros([tf.shape(wanted)[0], 0])
        begun = kept(nothing, tf.cast(nothing, tf.int32))
    shapes = tf.TensorShape([]), tf.TensorShape([None, None]), tf.TensorShape([None, None]), tf.TensorShape([None])
    _, values, rows, _ = tf.while_loop(is_short, lengthen, (length, *begun), shape_invariants=shapes)
    values = tf.pad(values, [[0, 0], [0, width]], constant_values=-float("inf"))
    best, places = tf.math.top_k(values, width)  # equal scores keep their order
    best = tf.where(tf.range(width) < wanted[:, None], best, -float("inf"))
    return best, tf.gather(tf.pad(rows, [[0, 0], [0, width]]), places, batch_dims=1)


def within_cap(values: tf.Tensor, rows: tf.Tensor, categories_of: Categories, cap: tf.Tensor) -> tf.Tensor:
    """The scores `[batch, n]`, descending, with −inf where a category has had its `cap` already."""

    def capped() -> tf.Tensor:
        known = tf.where(values > -float("inf"), categories_of(tf.maximum(rows, 0)), -1)
        is_free = (known < 0) | (cap <= 0)[:, None]
        return tf.where(is_free | (rank_within(known) < cap[:, None]), values, -float("inf"))

    return tf.cond(tf.reduce_any(cap > 0), called(capped), lambda: values)


def rank_within(categories: tf.Tensor) -> tf.Tensor:
    """How many entries of a row's own category stand before each entry, int32 `[batch, n]` -> `[batch, n]`."""
    order = tf.argsort(categories, axis=1, stable=True)
    ordered = tf.gather(categories, order, batch_dims=1)
    rank = tf.range(tf.shape(categories)[1])[None] - tf.searchsorted(ordered, ordered, side="left")
    return tf.gather(rank, tf.argsort(order, axis=1), batch_dims=1)
