"""The cascade as a served graph: a retriever's best that pass the filters, in the order of a ranking model."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfmmrec.search.capped_top_k import capped_top_k
from tfmmrec.search.cascade import DEPTH
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.filters import Filters, first_candidates, num_wanted, passing_scores
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
    """The best by the ranker of each row's best by the retriever.

    `exclude`, `allow` and `deny` come before the cut, so that they cost a row none of its `depth`; a row that asks for
    more than those has as many as it asks for. `min_score`, `cap` and `k` are of the ranker's scores. A cap takes some
    of what was cut away: the k best of the retriever under the cap are ranked with the others, so that there are k to
    answer with wherever there are k. A row's answer does not depend on the rows beside it.

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
    lowest = -float("inf")
    passing = passing_scores(index, scores, filters, excluded_rows)
    wanted = num_wanted(filters)  # [batch]
    most = tf.reduce_max(tf.concat([wanted, [1]], 0))
    best = two_stage_top_k(passing, tf.maximum(most, depth))
    places = _places(*best, tf.where(is_settled, 0, tf.maximum(wanted, depth)))
    is_capped = ~is_settled & (filters.cap > 0)
    more = tf.cond(
        tf.reduce_any(is_capped),
        lambda: _places(
            *capped_top_k(passing, index.filters.categories, filters.cap, most), tf.where(is_capped, wanted, 0)
        ),
        lambda: tf.zeros([0, 2], tf.int32),
    )
    places = tf.concat([places, more], axis=0)  # [num_pairs, 2]
    anew = tf.fill(tf.shape(passing), lowest)
    anew = tf.tensor_scatter_nd_update(anew, places, pair_scores(places[:, 0], places[:, 1]))
    return first_candidates(index, tf.where(is_settled[:, None], passing, anew), filters)


def _places(values: tf.Tensor, columns: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """The first `sizes` `[batch]` of each row's best `[batch, k]` as pairs (row, column), int32 `[num_pairs, 2]`."""
    inside = tf.range(tf.shape(values)[1]) < sizes[:, None]
    pairs = tf.where(inside & (values > -float("inf")))
    return tf.stack([tf.cast(pairs[:, 0], tf.int32), tf.gather_nd(columns, pairs)], axis=1)
