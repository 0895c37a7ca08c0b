"""The cascade as a served graph: a retriever's best that pass the filters, in the order of a ranking model."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfmmrec.search.cascade import DEPTH, ranked_anew
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.filters import Filters, first_candidates, passing_scores
from tfmmrec.search.top_k import two_stage_top_k

PairScores = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Places in the batch int32 `[n]`, candidate rows int32 `[n]` -> scores float32 `[n]`."""


def second_stage(
    index: ExactIndex,
    scores: tf.Tensor,
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
        index: whose candidates the scores belong to.
        scores: float32 `[batch, num_candidates]`, the retriever's.
        filters: the request's.
        excluded_rows: int32 `[batch, any]`, rows that are left out beside `exclude`, -1 = none.
        is_settled: bool `[batch]`, rows whose scores are kept: nothing is ranked anew.
        pair_scores: the ranker.
        depth: how many candidates of a row it looks at.

    Returns:
        As `best_candidates`.
    """
    passing = passing_scores(index, scores, filters, excluded_rows)
    values, columns = two_stage_top_k(passing, depth)  # [batch, depth]
    pairs = tf.where(~is_settled[:, None] & (values > -float("inf")))  # [num_pairs, 2]
    places = tf.stack([tf.cast(pairs[:, 0], tf.int32), tf.gather_nd(columns, pairs)], axis=1)
    anew = ranked_anew(passing, values[:, -1], places, pair_scores(places[:, 0], places[:, 1]))
    return first_candidates(index, tf.where(is_settled[:, None], passing, anew), filters)
