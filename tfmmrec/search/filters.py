"""From all candidates' scores to what a request lets through."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfmmrec.search.capped_top_k import capped_top_k
from tfmmrec.search.exact import ExactIndex

MAX_K = 1000


class Filters(NamedTuple):
    """What a request asks for beside its question.

    Attributes:
        exclude: ids that are left out, string `[batch, any]`, "" = none.
        allow: "feature=value", string `[batch, any]`: for every feature that is named, a candidate must have one of
            the named values.
        deny: the same form: a candidate must have none of these.
        k: int32 `[batch]`, how many are wanted; more than 1000 counts as 1000, less than 0 as 0.
        min_score: float32 `[batch]`, lower scores are left out; NaN for no bound.
        cap: int32 `[batch]`, at most so many of a main category; 0 or less for no cap. Candidates without a category
            are not capped.
    """

    exclude: tf.Tensor
    allow: tf.Tensor
    deny: tf.Tensor
    k: tf.Tensor
    min_score: tf.Tensor
    cap: tf.Tensor


def best_candidates(
    index: ExactIndex, scores: tf.Tensor, filters: Filters, excluded_rows: tf.Tensor
) -> dict[str, tf.Tensor]:
    """The highest scores that pass the filters.

    Args:
        index: whose candidates the scores belong to.
        scores: float32 `[batch, num_candidates]`, −inf for those that are out anyway.
        filters: the request's.
        excluded_rows: int32 `[batch, any]`, rows that are left out beside `exclude`, -1 = none.

    Returns:
        `candidate_ids` string and `scores` float32, both `[batch, the batch's largest k]`, in descending order; ""
        and −inf where a row has fewer or asked for fewer.
    """
    return first_candidates(index, passing_scores(index, scores, filters, excluded_rows), filters)


def passing_scores(index: ExactIndex, scores: tf.Tensor, filters: Filters, excluded_rows: tf.Tensor) -> tf.Tensor:
    """The scores with −inf for whatever `exclude`, `allow` and `deny` leave out; arguments as in `best_candidates`."""
    scores = _without(scores, tf.concat([index.rows_of(filters.exclude), excluded_rows], axis=1))
    restricted = tf.reduce_any(tf.strings.length(tf.concat([filters.allow, filters.deny], axis=1)) > 0)
    return tf.cond(
        restricted,
        lambda: tf.where(index.filters.passing(filters.allow, filters.deny), scores, -float("inf")),
        lambda: scores,
    )


def first_candidates(index: ExactIndex, scores: tf.Tensor, filters: Filters) -> dict[str, tf.Tensor]:
    """The highest scores within `k`, `min_score` and `cap`; arguments and answer as in `best_candidates`."""
    lowest = -float("inf")
    min_score = tf.where(tf.math.is_nan(filters.min_score), lowest, filters.min_score)
    scores = tf.where(scores >= min_score[:, None], scores, lowest)
    wanted = num_wanted(filters)  # [batch]
    width = tf.reduce_max(tf.concat([wanted, [0]], 0))
    values, columns = capped_top_k(scores, index.filters.categories, filters.cap, tf.maximum(width, 1))
    values = tf.where(tf.range(tf.maximum(width, 1)) < wanted[:, None], values, lowest)[:, :width]
    ids = tf.gather(index.ids, tf.maximum(columns, 0))[:, :width]
    return {"candidate_ids": tf.where(values > lowest, ids, ""), "scores": values}


def num_wanted(filters: Filters) -> tf.Tensor:
    """How many candidates each row gets at most, int32 `[batch]`."""
    return tf.clip_by_value(filters.k, 0, MAX_K)


def _without(scores: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Takes candidates out of `[batch, num_candidates]`, by rows `[batch, any]`."""
    known = tf.where(rows >= 0)  # [num_known, 2]
    places = tf.stack([tf.cast(known[:, 0], tf.int32), tf.gather_nd(rows, known)], axis=1)
    return tf.tensor_scatter_nd_update(scores, places, tf.fill([tf.shape(places)[0]], -float("inf")))
