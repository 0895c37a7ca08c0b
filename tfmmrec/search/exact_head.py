"""The best candidates of all, block by block: what it needs of memory does not grow with the catalogue."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.search.admission import Admission
from tfmmrec.search.called_graph import called
from tfmmrec.search.question import Question
from tfmmrec.search.top_k import two_stage_top_k

SCORES_AT_ONCE = 2**22
"""How many scores of a batch there are at any time, 16 MiB of them: few enough for a processor's cache, and enough for
the product of a single query with a million candidates to be one."""

LEAST_BLOCK = 4096


def exact_head(
    index, question: Question, admission: Admission, length: int | tf.Tensor, scores_at_once: int = SCORES_AT_ONCE
) -> tuple[tf.Tensor, tf.Tensor]:
    """The candidates with the highest scores among those that pass.

    Args:
        index: an `ExactIndex`, of any kind.
        question: what they are scored by.
        admission: which of them pass.
        length: how many, at least 1.
        scores_at_once: how many scores are held; a block has 4,096 candidates at least.

    Returns:
        Scores `[batch, length]` in descending order and rows of the index int32 `[batch, length]`, equal scores lowest
        row first; −inf and −1 where a row has no more.
    """
    size = index.num_candidates
    block = tf.maximum(scores_at_once // tf.maximum(question.size, 1), LEAST_BLOCK)

    def whole() -> tuple[tf.Tensor, tf.Tensor]:
        return two_stage_top_k(admission.block(index, question.block(index), tf.constant(0)), length)

    def best_of(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        end = tf.minimum(start + block, size)
        scores = admission.block(index, question.block(index, start, end), start)
        values, columns = two_stage_top_k(scores, length)
        return values, columns + start

    def step(start: tf.Tensor, values: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        more_values, more_rows = best_of(start)
        values, places = tf.math.top_k(tf.concat([values, more_values], axis=1), length)  # what came first stays first
        return start + block, values, tf.gather(tf.concat([rows, more_rows], axis=1), places, batch_dims=1)

    def streamed() -> tuple[tf.Tensor, tf.Tensor]:
        open_shape = tf.TensorShape([None, None])
        return tf.while_loop(
            lambda start, *_: start < size,
            step,
            (0, tf.zeros([question.size, 0]), tf.zeros([question.size, 0], tf.int32)),
            shape_invariants=(tf.TensorShape([]), open_shape, open_shape),
            parallel_iterations=1,
        )[1:]

    values, rows = tf.cond(size <= block, whole, called(streamed))

    def with_gaps() -> tuple[tf.Tensor, tf.Tensor]:
        found = question.is_answerable[:, None] & (values > -float("inf"))
        return tf.where(found, values, -float("inf")), tf.where(found, rows, -1)

    has_gaps = ~tf.reduce_all(question.is_answerable) | (tf.reduce_min(values) == -float("inf"))
    return tf.cond(has_gaps, called(with_gaps), lambda: (values, rows))
