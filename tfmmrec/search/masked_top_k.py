"""The best candidates of each query without those it has seen, and what is needed to judge them exactly."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfmmrec.search.top_k import two_stage_top_k


class Ranked(NamedTuple):
    """The head of a ranking, with what tells how far its ties reach.

    Attributes:
        scores: float32 `[batch, k]`, descending; −inf where there are no more candidates.
        columns: int32 `[batch, k]`, equal scores lowest first; −1 or a seen column where the score is −inf.
        num_last: int32 `[batch]`, how many columns of the whole row have the k-th score.
        positive_scores: float32 `[num_positives]`, the scores of the columns that were asked about.
    """

    scores: tf.Tensor
    columns: tf.Tensor
    num_last: tf.Tensor
    positive_scores: tf.Tensor


def masked_top_k(
    scores: tf.Tensor,
    seen: tf.Tensor,
    positives: tf.Tensor,
    k: int | tf.Tensor,
    block_size: int | tf.Tensor | None = None,
    in_place: bool = False,
) -> Ranked:
    """Takes the seen columns out and ranks the others, without sorting whole rows.

    Args:
        scores: `[batch, num_columns]` float32.
        seen: int32 `[num_seen, 2]`, pairs (row, column) to leave out.
        positives: int32 `[num_positives, 2]`, pairs (row, column) whose scores are wanted.
        k: length of the head.
        block_size: see `two_stage_top_k`.
        in_place: overwrites `scores`, which saves a copy of it. Only inside a `tf.function` that made it and
            has no other use for it, and for fewer than 2³¹ scores.
    """
    lowest = tf.fill([tf.shape(seen)[0]], -float("inf"))
    if in_place:
        places = seen[:, 0] * tf.shape(scores)[1] + seen[:, 1]
        flat = tf.raw_ops.InplaceUpdate(x=tf.reshape(scores, [-1]), i=places, v=lowest)
        scores = tf.reshape(flat, tf.shape(scores))
    else:
        scores = tf.tensor_scatter_nd_update(scores, seen, lowest)
    values, columns = two_stage_top_k(scores, k + 1, block_size)  # one more tells whether the k-th score ends there
    last = values[:, k - 1]
    in_head = tf.reduce_sum(tf.cast(values[:, :k] == last[:, None], tf.int32), axis=1)
    cut = tf.where((last == values[:, k]) & (last > -float("inf")))  # [rows whose ties go on, 1]
    equal = tf.gather_nd(scores, cut) == tf.gather_nd(last, cut)[:, None]
    num_last = tf.tensor_scatter_nd_update(in_head, cut, tf.math.count_nonzero(equal, axis=1, dtype=tf.int32))
    return Ranked(values[:, :k], columns[:, :k], num_last, tf.gather_nd(scores, positives))
