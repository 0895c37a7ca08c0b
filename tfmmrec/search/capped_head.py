"""The best candidates within a least score and with at most so many of each category."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfmmrec.search.called_graph import called
from tfmmrec.search.exact_head import SCORES_AT_ONCE

Head = Callable[[tf.Tensor, "tf.Tensor | None"], tuple[tf.Tensor, tf.Tensor]]
"""A length, int32 scalar, and places in the batch, int32 `[n]`, None for all of it -> the best so many of each of these
rows: scores `[n, length]`, descending, −inf where there are no more, and rows of the index int32 `[n, length]`."""

Categories = Callable[[tf.Tensor], tf.Tensor]
"""Rows of the index, int32 `[batch, n]` -> the category of each, -1 for no category, which is never full."""


def capped_head(
    head: Head,
    first: tuple[tf.Tensor, tf.Tensor] | None,
    categories_of: Categories,
    num_candidates: int | tf.Tensor,
    cap: tf.Tensor,
    min_score: tf.Tensor,
    wanted: tf.Tensor,
    scores_at_once: int = SCORES_AT_ONCE,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Takes candidates in the order of their scores and skips those whose category is full.

    A head of each row is ranked, which is right as far as it reaches. The rows that are short of what they want get
    longer ones, some at a time, until they have it, or as many as their cap leaves room for in the whole index, or
    nothing is left.

    Args:
        head: gives the best.
        first: scores and rows as `head` gives them, which stand before all that it gives; None for nothing.
        categories_of: gives the candidates' categories.
        num_candidates: how many there are, at least 1.
        cap: int32 `[batch]`, how many of a category; 0 or less for no cap.
        min_score: float32 `[batch]`, lower scores are left out; NaN for no bound.
        wanted: int32 `[batch]`, how many candidates each row is to have.
        scores_at_once: the heads that are made longer together have so many, unless one alone has more.

    Returns:
        Scores `[batch, width]` in descending order and rows int32 `[batch, width]`, for the largest number that is
        wanted; −inf, and any row, beyond what a row has or wants.
    """
    width, has_cap = tf.reduce_max(tf.concat([wanted, [0]], 0)), tf.reduce_any(cap > 0)
    if first is None:
        length = tf.minimum(tf.maximum((1 + 3 * tf.cast(has_cap, tf.int32)) * width, 1), num_candidates)
        begun = head(length, None)
    else:
        length, begun = tf.constant(0), first
    values, rows = begun[0][:, :width], begun[1][:, :width]
    is_all = (tf.shape(values)[1] == width) & tf.reduce_all(wanted == width) & ~has_cap
    is_all &= ~tf.reduce_any(values < tf.expand_dims(min_score, 1))  # nothing is less than NaN
    state = length, begun, width

    def chosen() -> tuple[tf.Tensor, tf.Tensor]:
        return _chosen(head, first, state, (categories_of, num_candidates, cap, min_score, wanted), scores_at_once)

    return tf.cond(is_all, lambda: (values, rows), called(chosen))


def _chosen(head: Head, first, begun: tuple, bounds: tuple, scores_at_once: int) -> tuple[tf.Tensor, tf.Tensor]:
    """`capped_head` from what has begun: the length of the heads, their scores and rows, and the answer's width."""
    length, begun, width = begun
    categories_of, num_candidates, cap, min_score, wanted = bounds
    batch = tf.shape(wanted)[0]
    least = tf.where(tf.math.is_nan(min_score), -float("inf"), min_score)

    def best_of(found: tuple[tf.Tensor, tf.Tensor], least: tf.Tensor, cap: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The best `[n, width]` of heads, and the last score of each `[n]`, −inf where nothing can follow."""
        values, rows = found
        values = tf.where(values >= least[:, None], values, -float("inf"))
        kept = tf.pad(within_cap(values, rows, categories_of, cap), [[0, 0], [0, width]], constant_values=-float("inf"))
        best, places = tf.math.top_k(kept, width)  # equal scores keep their order
        return best, tf.gather(tf.pad(rows, [[0, 0], [0, width]]), places, batch_dims=1), values[:, -1]

    def is_short(goal: tf.Tensor, lengths: tf.Tensor, best: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
        found = tf.math.count_nonzero(best > -float("inf"), axis=1, dtype=tf.int32)
        return (lengths < num_candidates) & (found < goal) & (last > -float("inf"))

    def longer(goal: tf.Tensor, lengths: tf.Tensor, best: tf.Tensor, rows: tf.Tensor, last: tf.Tensor):
        short = is_short(goal, lengths, best, last)
        length = tf.reduce_min(tf.where(short, lengths, num_candidates))  # of the shortest
        wider = tf.minimum(tf.maximum(4 * length, tf.maximum(width, 1)), num_candidates)
        places = tf.where(short & (lengths == length))[: tf.maximum(scores_at_once // wider, 1)]  # [n, 1]
        own = tf.cast(places[:, 0], tf.int32)
        found = head(wider, own)
        if first is not None:
            found = tuple(tf.concat([tf.gather(begun, own), more], 1) for begun, more in zip(first, found, strict=True))
        parts = tf.fill(tf.shape(own), wider), *best_of(found, tf.gather(least, own), tf.gather(cap, own))
        state = zip((lengths, best, rows, last), parts, strict=True)
        return tuple(tf.tensor_scatter_nd_update(tensor, places, part) for tensor, part in state)

    begun = tf.fill([batch], length), *best_of(begun, least, cap)
    is_short_of_room = tf.reduce_any(is_short(wanted, begun[0], begun[1], begun[3]) & (cap > 0))
    in_all = called(lambda: tf.minimum(wanted, room(categories_of(tf.range(num_candidates)), cap)))
    goal = tf.cond(is_short_of_room, in_all, lambda: wanted)
    step = called(longer)
    shapes = tf.TensorShape([None]), tf.TensorShape([None, None]), tf.TensorShape([None, None]), tf.TensorShape([None])
    _, best, rows, _ = tf.while_loop(
        lambda lengths, best, _, last: tf.reduce_any(is_short(goal, lengths, best, last)),
        lambda *state: step(goal, *state),
        begun,
        shape_invariants=shapes,
    )
    return tf.where(tf.range(width) < wanted[:, None], best, -float("inf")), rows


def room(categories: tf.Tensor, cap: tf.Tensor) -> tf.Tensor:
    """How many candidates caps leave at most: int32 `[num_candidates]`, -1 = none, and `[batch]` -> int32 `[batch]`."""
    sizes = tf.math.bincount(tf.maximum(categories, -1) + 1)  # the first has no category
    limits = tf.where(cap > 0, cap, tf.size(categories))
    return tf.reduce_sum(tf.minimum(sizes[1:], limits[:, None]), axis=1) + tf.reduce_sum(sizes[:1])


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
