"""The cascade as a served graph: a retriever's best that pass the filters, in the order of a ranking model."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfmmrec.search.cascade import DEPTH, beneath
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.filters import Filters, admitted_by, first_candidates
from tfmmrec.search.question import Question

PairScores = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Places in the batch int32 `[n]`, candidate rows int32 `[n]` -> scores float32 `[n]`."""


def second_stage(
    index: ExactIndex,
    question: Question,
    filters: Filters,
    excluded_rows: tf.Tensor,
    is_settled: tf.Tensor,
    pair_scores: PairScores,
    depth: int = DEPTH,
) -> dict[str, tf.Tensor]:
    """The best by the ranker of each row's best by the retriever, and beneath them the others, as `CascadeScorer` has
    them.

    `exclude`, `allow` and `deny` come before the cut, so that they cost a row none of its `depth`. `min_score`, `cap`
    and `k` are of the answer's scores. What a row asks for beyond its `depth`, or a cap leaves room for, follows in the
    retriever's order, so that there are k to answer with wherever there are k. A row's answer does not depend on the
    rows beside it.

    Args:
        index: of the candidates, of any kind.
        question: the retriever's.
        filters: the request's.
        excluded_rows: int32 `[batch, any]`, rows that are left out beside `exclude`, -1 = none.
        is_settled: bool `[batch]`, rows whose scores are kept: nothing is ranked anew.
        pair_scores: the ranker.
        depth: how many candidates of a row it looks at.

    Returns:
        As `best_candidates`.
    """
    lowest, is_settled = -float("inf"), is_settled[:, None]
    admitted = admitted_by(index, filters, excluded_rows)
    values, rows = index.head(question, admitted, depth)  # [batch, depth]
    pairs = tf.where(~is_settled & (values > lowest))  # [num_pairs, 2]
    logits = pair_scores(tf.cast(pairs[:, 0], tf.int32), tf.gather_nd(rows, pairs))
    anew = tf.tensor_scatter_nd_update(tf.fill(tf.shape(values), lowest), pairs, logits)
    first = tf.where(is_settled, values, anew), rows
    least = tf.reduce_min(tf.where(values > lowest, anew, anew.dtype.max), axis=1)
    shift = tf.where(is_settled, 0.0, beneath(least)[:, None])
    ends = tf.where(is_settled | ~tf.math.is_finite(values[:, -1:]), 0.0, values[:, -1:])
    others = admitted.without(rows)

    def rest(length: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        scores, columns = index.head(question.some(places), others.some(places), length)
        end, own_shift, as_is = (tf.gather(tensor, places) for tensor in (ends, shift, is_settled))
        moved = tf.minimum(scores - end, 0.0) + own_shift  # wider, an inverted file finds higher scores than the first
        return tf.where(as_is, scores, moved), columns

    return first_candidates(index, rest, filters, _in_order(*first))


def _in_order(values: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Scores and rows `[batch, n]` by descending scores, equal ones lowest row first; NaN comes last, as −inf."""
    order = tf.argsort(rows, axis=1)
    values, rows = (tf.gather(tensor, order, batch_dims=1) for tensor in (values, rows))
    values, places = tf.math.top_k(tf.where(tf.math.is_nan(values), -float("inf"), values), tf.shape(values)[1])
    return values, tf.gather(rows, places, batch_dims=1)
