"""From a question to an index to what a request lets through."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfmmrec.search.admission import Admission, admission, are_given, left_out
from tfmmrec.search.called_graph import called
from tfmmrec.search.capped_head import Head, capped_head
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.limits import MAX_K
from tfmmrec.search.question import Question


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
    index: ExactIndex, question: Question, filters: Filters, excluded_rows: tf.Tensor
) -> dict[str, tf.Tensor]:
    """The highest scores that pass the filters.

    Most requests have no filter but ids that are left out. They are answered by few operations, which take for granted
    that this is so and that nothing is in the way, and check it; any other goes another, longer way.

    Args:
        index: of any kind.
        question: what its candidates are scored by.
        filters: the request's.
        excluded_rows: int32 `[batch, any]`, rows that are left out beside `exclude`, -1 = none.

    Returns:
        candidate_ids: string `[batch, width]` for the largest `k` of the batch, padded with "".
        scores: float32 `[batch, width]`, descending, padded with −inf.
    """
    wanted = num_wanted(filters)
    width = tf.reduce_max(tf.concat([wanted, [0]], 0))
    is_simple = tf.concat([wanted == width, filters.cap <= 0, question.is_answerable, ~question.is_popular], 0)
    is_simple = tf.reduce_all(is_simple) & (width > 0) & ~are_given(filters.allow, filters.deny)

    def simple() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        values, rows, is_right = index.plain_head(question, left_out(index, filters.exclude, excluded_rows), width)
        return values, rows, is_right & ~tf.reduce_any(values < tf.expand_dims(filters.min_score, 1))

    def nothing() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return tf.zeros([0, 0]), tf.zeros([0, 0], tf.int32), tf.constant(False)

    values, rows, is_right = tf.cond(is_simple & index.has_plain_head(question), simple, nothing)
    return tf.cond(
        is_right,
        lambda: {"candidate_ids": tf.gather(index.ids.value(), rows), "scores": values},
        called(lambda: _best_under_all_filters(index, question, filters, excluded_rows)),
    )


def _best_under_all_filters(
    index: ExactIndex, question: Question, filters: Filters, excluded_rows: tf.Tensor
) -> dict[str, tf.Tensor]:
    """As `best_candidates`, whatever is asked."""
    admitted = admitted_by(index, filters, excluded_rows)

    def head(length: tf.Tensor, places: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        if places is None:
            return index.head(question, admitted, length, filters.min_score)
        return index.head(question.some(places), admitted.some(places), length, tf.gather(filters.min_score, places))

    return first_candidates(index, head, filters)


def admitted_by(index: ExactIndex, filters: Filters, excluded_rows: tf.Tensor) -> Admission:
    """Which candidates `exclude`, `allow` and `deny` leave; `excluded_rows` as in `best_candidates`."""
    return admission(index, filters.exclude, filters.allow, filters.deny, excluded_rows)


def first_candidates(
    index: ExactIndex, head: Head, filters: Filters, first: tuple[tf.Tensor, tf.Tensor] | None = None
) -> dict[str, tf.Tensor]:
    """The best within `k`, `min_score` and `cap`; answers as `best_candidates`, arguments as `capped_head`."""
    columns, wanted = index.filters, num_wanted(filters)
    arguments = columns.categories_of, index.num_candidates, filters.cap, filters.min_score, wanted
    values, rows = capped_head(head, first, *arguments)

    def with_gaps() -> tf.Tensor:
        return tf.where(values > -float("inf"), tf.gather(index.ids.value(), tf.maximum(rows, 0)), "")

    is_whole = tf.reduce_min(values) > -float("inf")
    ids = tf.cond(is_whole, lambda: tf.gather(index.ids.value(), rows), called(with_gaps))
    return {"candidate_ids": ids, "scores": values}


def num_wanted(filters: Filters) -> tf.Tensor:
    """How many candidates each row gets at most, int32 `[batch]`."""
    return tf.clip_by_value(filters.k, 0, MAX_K)
