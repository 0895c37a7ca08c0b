"""The best candidates with at most so many of each category."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.search.top_k import two_stage_top_k


def capped_top_k(scores: tf.Tensor, categories: tf.Tensor, cap: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Takes candidates in the order of their scores and skips those whose category is full.

    Where no row has a cap this is `two_stage_top_k`. Else a head of each row is ranked, which is exact as far as it
    reaches, and made longer until every row has its k or has nothing left.

    Args:
        scores: float `[batch, num_candidates]`, −inf for those that are out.
        categories: int32 `[num_candidates]`, -1 for no category, which is never full.
        cap: int32 `[batch]`, how many of a category; 0 or less for no cap.
        k: int32 scalar, at least 1.

    Returns:
        Scores `[batch, k]` in descending order and columns int32 `[batch, k]`; −inf, and any column, where a row has
        fewer.
    """
    return tf.cond(
        tf.reduce_any(cap > 0),
        lambda: _capped(scores, categories, cap, k),
        lambda: two_stage_top_k(scores, k),
    )


def _capped(scores, categories, cap, k):
    num_candidates = tf.shape(scores)[1]

    def head(length):
        values, columns = two_stage_top_k(scores, length)  # [batch, length]
        known = tf.gather(tf.concat([[-1], categories], 0), columns + 1)
        uncapped = (known < 0) | (cap <= 0)[:, None]
        kept = uncapped | (rank_within(known) < cap[:, None])
        return tf.where(kept, values, -float("inf")), columns, values[:, -1]

    def is_short(length, values, _, last):
        found = tf.reduce_sum(tf.cast(values > -float("inf"), tf.int32), axis=1)
        return (length < num_candidates) & tf.reduce_any((found < k) & (last > -float("inf")))

    def extend(length, *_):
        return 4 * length, *head(4 * length)

    shapes = tf.TensorShape([]), tf.TensorShape([None, None]), tf.TensorShape([None, None]), tf.TensorShape([None])
    _, values, columns, _ = tf.while_loop(is_short, extend, (4 * k, *head(4 * k)), shape_invariants=shapes)
    best, places = tf.math.top_k(values, k)  # equal scores keep their order
    return best, tf.gather(columns, places, batch_dims=1)


def rank_within(categories: tf.Tensor) -> tf.Tensor:
    """How many entries of a row's own category stand before each entry, int32 `[batch, n]` -> `[batch, n]`."""
    order = tf.argsort(categories, axis=1, stable=True)
    ordered = tf.gather(categories, order, batch_dims=1)
    rank = tf.range(tf.shape(categories)[1])[None] - tf.searchsorted(ordered, ordered, side="left")
    return tf.gather(rank, tf.argsort(order, axis=1), batch_dims=1)
