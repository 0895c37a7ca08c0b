"""Which candidates a request lets through, for all of an index or for a part of it."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfmmrec.search.called_graph import called


class Admission(NamedTuple):
    """What `exclude`, `allow` and `deny` of a batch of requests leave.

    Attributes:
        out: int32 `[batch, any]`, rows of the index that are left out, -1 = none.
        is_restricted: bool scalar, whether any row has values that are allowed or denied.
        required: int32 `[batch]`, see `FilterColumns.rule`; nothing where nothing is restricted.
        table: int32 `[num_values + 1, batch]`, the same.
    """

    out: tf.Tensor
    is_restricted: tf.Tensor
    required: tf.Tensor
    table: tf.Tensor

    def row(self, place: tf.Tensor) -> Admission:
        """One row of it as a batch of one."""
        one = slice(place, place + 1)
        return Admission(self.out[one], self.is_restricted, self.required[one], self.table[:, one])

    def some(self, places: tf.Tensor) -> Admission:
        """Some rows of it, int32 `[n]`."""
        out, required = tf.gather(self.out, places), tf.gather(self.required, places)
        return Admission(out, self.is_restricted, required, tf.gather(self.table, places, axis=1))

    def without(self, rows: tf.Tensor) -> Admission:
        """Leaves out more rows of the index, int32 `[batch, any]`, -1 = none."""
        return self._replace(out=tf.concat([self.out, rows], axis=1))

    def block(self, index, scores: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        """−inf for what does not pass, of the scores `[batch, n]` of the rows `start` to `start + n`.

        It overwrites `scores`, which saves a copy of them: for a tensor that was just made and has no other use.
        """
        size = tf.shape(scores)[1]
        scores = self.passing(index, scores, lambda: index.filters.codes[start : start + size])
        return without_rows(scores, self.out - start)

    def passing(self, index, scores: tf.Tensor, codes) -> tf.Tensor:
        """−inf for what `allow` and `deny` do not let through.

        Args:
            index: whose `filters` they are.
            scores: float32 `[batch, n]`.
            codes: a function that gives the candidates' codes, int32 `[n, width]`, where something is restricted.
        """

        def restricted() -> tf.Tensor:
            return tf.where(index.filters.admits(self.required, self.table, codes()), scores, -float("inf"))

        return tf.cond(self.is_restricted, called(restricted), lambda: scores)


def without_rows(scores: tf.Tensor, out: tf.Tensor) -> tf.Tensor:
    """−inf for some of the scores `[batch, n]`, which are overwritten: in the columns `out`, int32 `[batch, any]`.

    Columns that there are not, such as -1, are none.
    """
    is_inside = (out >= 0) & (out < tf.shape(scores)[1])

    def without_those() -> tf.Tensor:
        inside = tf.where(is_inside)  # [num_inside, 2]
        places = tf.cast(inside[:, 0], tf.int32) * tf.shape(scores)[1] + tf.gather_nd(out, inside)
        lowest = tf.fill(tf.shape(places), -float("inf"))
        flat = tf.raw_ops.InplaceUpdate(x=tf.reshape(scores, [-1]), i=places, v=lowest)
        return tf.reshape(flat, tf.shape(scores))

    return tf.cond(tf.reduce_any(is_inside), without_those, lambda: scores)


def left_out(index, exclude: tf.Tensor, excluded_rows: tf.Tensor) -> tf.Tensor:
    """Rows of the index that are left out, int32 `[batch, any]`, -1 = none; arguments as in `admission`."""
    return tf.cond(
        tf.reduce_any(exclude != ""),
        lambda: tf.concat([index.rows_of(exclude), excluded_rows], axis=1),
        lambda: tf.identity(excluded_rows),
    )


def are_given(allow: tf.Tensor, deny: tf.Tensor) -> tf.Tensor:
    """Whether any value is allowed or denied, bool scalar."""
    return tf.reduce_any(tf.concat([allow, deny], axis=1) != "")


def admission(index, exclude: tf.Tensor, allow: tf.Tensor, deny: tf.Tensor, excluded_rows: tf.Tensor) -> Admission:
    """From a request's strings.

    Args:
        index: has `rows_of` and `filters`.
        exclude: ids, string `[batch, any]`, "" = none.
        allow: "feature=value", the same form.
        deny: the same.
        excluded_rows: int32 `[batch, any]`, rows that are left out beside `exclude`, -1 = none.
    """
    is_restricted = are_given(allow, deny)
    batch = tf.shape(allow)[0]
    required, table = tf.cond(
        is_restricted,
        called(lambda: index.filters.rule(allow, deny)),
        lambda: (tf.zeros([batch], tf.int32), tf.zeros([1, batch], tf.int32)),
    )
    return Admission(left_out(index, exclude, excluded_rows), is_restricted, required, table)
