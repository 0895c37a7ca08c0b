"""What candidates can be filtered by: "feature=value" strings as codes, over variables that can be exchanged."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfmmrec.encoders.vocabulary import VocabularyLookup, fingerprints
from tfmmrec.search.limits import MAX_FEATURES

Replacements = list[tuple[tf.Variable, tf.Tensor]]
_UNKNOWN_BIT = 1 << MAX_FEATURES  # no candidate has it: a feature or a value that no candidate has lets none pass
_DENIED_BIT = 1 << (MAX_FEATURES + 1)


class FilterColumns(tf.Module):
    """The filter values of all candidates.

    Variables (the first dimension of each is open):
        codes: int32 `[num_candidates, width]`, places in the list of values, -1 = none. The first column is the
            candidate's main category, which `cap` counts.
        value_features: int32 `[num_values]`, the feature of each value, below 29.
        values, features: lookups of the strings "feature=value" and of the features' names.
    """

    def __init__(self, name: str = "filters"):
        super().__init__(name=name)
        self.codes = tf.Variable(tf.zeros([0, 1], tf.int32), shape=[None, None], trainable=False, name=f"{name}_codes")
        self.value_features = tf.Variable(
            tf.zeros([0], tf.int32), shape=[None], trainable=False, name=f"{name}_value_features"
        )
        self.values = VocabularyLookup((), name=f"{name}_values")
        self.features = VocabularyLookup((), name=f"{name}_features")

    def categories_of(self, rows: tf.Tensor) -> tf.Tensor:
        """The main categories of candidates, int32 rows of any shape -> the same shape, -1 where there is none."""
        return tf.gather(self.codes.value(), rows)[..., 0]

    def replacements(self, codes: tf.Tensor, values: tf.Tensor) -> tuple[Replacements, list]:
        """What `assign_all` takes to give all candidates other filter values.

        Args:
            codes: int32 `[num_candidates, width]`, places in `values`, or -1.
            values: different strings "feature=value" of at most 29 features, `[num_values]`.
        """
        names, value_features = tf.unique(feature_names(values))
        too_many = f"values must be of at most {MAX_FEATURES} different features"
        checks = [
            tf.debugging.assert_less(codes, tf.shape(values)[0], message="codes must be places in values, or -1"),
            tf.debugging.assert_less_equal(tf.shape(names)[0], MAX_FEATURES, message=too_many),
        ]
        replacements: Replacements = [(self.codes, codes), (self.value_features, value_features)]
        for lookup, strings, what in ((self.values, values, "values"), (self.features, names, "features")):
            more, check = vocabulary_replacements(lookup, strings, what)
            replacements += more
            checks.append(check)
        return replacements, checks

    def passing(self, allow: tf.Tensor, deny: tf.Tensor) -> tf.Tensor:
        """Which of all candidates pass, bool `[batch, num_candidates]`; arguments as in `rule`."""
        return self.admits(*self.rule(allow, deny), tf.convert_to_tensor(self.codes))

    def rule(self, allow: tf.Tensor, deny: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What a candidate needs to pass, in the form that `admits` takes.

        A candidate passes `allow` when, for every feature that is named in it, it has one of the named values, and
        `deny` when it has none of the values.

        Args:
            allow: "feature=value", string `[batch, any]`, "" = none.
            deny: the same.

        Returns:
            int32 `[batch]`, the bits that are required; and int32 `[num_values + 1, batch]`, the bits of each value.
        """
        named = tf.strings.length(allow) > 0  # [batch, any]
        feature = self.features(feature_names(allow))
        # one bit for each feature: a value sets its feature's, and a candidate needs all that are named
        needed = tf.where(feature >= 0, tf.bitwise.left_shift(1, tf.maximum(feature, 0)), _UNKNOWN_BIT)
        required = _or_columns(tf.where(named, needed, 0))  # [batch]
        allowed = self.values(allow)
        bits = tf.gather(tf.concat([self.value_features, [0]], 0), tf.maximum(allowed, 0))
        table = self._table(allowed, tf.bitwise.left_shift(1, bits))  # [num_values + 1, batch]
        denied = self.values(deny)
        return required, tf.bitwise.bitwise_or(table, self._table(denied, tf.fill(tf.shape(denied), _DENIED_BIT)))

    def admits(self, required: tf.Tensor, table: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        """Which candidates pass, by their codes int32 `[n, width]`: bool `[batch, n]`."""
        found = _or_values(table, codes)  # [n, batch]
        wanted = tf.bitwise.bitwise_or(required, _DENIED_BIT)
        return tf.transpose(tf.bitwise.bitwise_and(found, wanted) == required)

    def _table(self, codes: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
        """The bits of each value for each row, `[num_values + 1, batch]`; entry 0 is that of no value."""
        batch = tf.shape(codes)[0]
        rows = tf.broadcast_to(tf.range(batch)[:, None], tf.shape(codes))
        places = tf.stack([codes + 1, rows], axis=2)  # [batch, any, 2]
        known = tf.where(codes >= 0)
        empty = tf.zeros([tf.shape(self.value_features)[0] + 1, batch], tf.int32)
        return tf.tensor_scatter_nd_max(empty, tf.gather_nd(places, known), tf.gather_nd(bits, known))


def feature_names(values: tf.Tensor) -> tf.Tensor:
    """ "colour=red" -> "colour", any shape."""
    return tf.strings.regex_replace(values, "(?s)=.*", "")


def vocabulary_replacements(
    lookup: VocabularyLookup, strings: tf.Tensor, what: str
) -> tuple[Replacements, tf.Operation]:
    """What `assign_all` takes to give a lookup other strings, `[n]`; entry i is found as row i.

    Args:
        lookup: which.
        strings: all different.
        what: their name, for the message of the check.
    """
    prints = fingerprints(strings)
    order = tf.argsort(prints)
    prints = tf.gather(prints, order)
    message = f"{what} must be different, but some are the same"
    check = tf.debugging.assert_none_equal(prints[1:], prints[:-1], message=message)
    return [(lookup.fingerprints, prints), (lookup.rows, order)], check


def assign_all(replacements: Replacements, checks: Sequence) -> None:
    """Assigns all variables, or none when a check fails (`InvalidArgumentError`)."""
    with tf.control_dependencies([check for check in checks if check is not None]):  # None when run eagerly
        values = [tf.identity(value) for _, value in replacements]
    with tf.control_dependencies(values):
        for (variable, _), value in zip(replacements, values, strict=True):
            variable.assign(value)


def _or_columns(bits: tf.Tensor) -> tf.Tensor:
    """int32 `[batch, any]` -> `[batch]`."""
    powers = tf.bitwise.left_shift(1, tf.range(MAX_FEATURES + 1))
    has = tf.reduce_any(tf.bitwise.bitwise_and(bits[..., None], powers) > 0, axis=1)  # [batch, MAX_FEATURES + 1]
    return tf.reduce_sum(tf.where(has, powers, 0), axis=1)


def _or_values(table: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """The bits of all values of a candidate, int32 `[num_values + 1, batch]` and `[n, width]` -> `[n, batch]`."""

    def step(column, found):
        return column + 1, tf.bitwise.bitwise_or(found, tf.gather(table, codes[:, column] + 1))

    nothing = tf.zeros([tf.shape(codes)[0], tf.shape(table)[1]], tf.int32)
    shapes = tf.TensorShape([]), tf.TensorShape([None, None])
    width = tf.shape(codes)[1]
    return tf.while_loop(lambda column, _: column < width, step, (0, nothing), shape_invariants=shapes)[1]
