"""String -> row number inside the graph, over variables that can be exchanged for larger ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_BUCKETS = 2**63 - 1


def fingerprints(strings: tf.Tensor) -> tf.Tensor:
    """64-bit fingerprints of strings, any shape (`tf.strings.to_hash_bucket_fast`, FarmHash)."""
    return tf.strings.to_hash_bucket_fast(strings, _BUCKETS)


def sorted_fingerprints(vocabulary: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The vocabulary's fingerprints in ascending order, int64 `[n]`, and the row of each, int32 `[n]`.

    Raises:
        ValueError: when two entries share a fingerprint: the same string twice, or (at a chance of about
            n²/2⁶⁴) a collision.
    """
    prints = (
        fingerprints(tf.constant(list(vocabulary), tf.string)).numpy() if len(vocabulary) else np.zeros(0, np.int64)
    )
    order = np.argsort(prints, kind="stable").astype(np.int32)
    prints = prints[order]
    twice = np.flatnonzero(prints[1:] == prints[:-1])
    if twice.size:
        first, second = vocabulary[order[twice[0]]], vocabulary[order[twice[0] + 1]]
        raise ValueError(f"vocabulary entries must differ: {first!r} and {second!r} are the same or collide")
    return prints, order


class VocabularyLookup(tf.Module):
    """Finds strings in a vocabulary by binary search over sorted 64-bit fingerprints.

    A hash table's content is fixed when the graph is saved; these two variables have an open first dimension, so a
    loaded SavedModel can be given a larger vocabulary and be saved again. Stock ops only. They gather from the
    variables' values: a gather from a variable itself lets every later read of it copy it whole.

    Args:
        vocabulary: `n` different strings; entry i is found as row i.
        name: name of the module.
    """

    def __init__(self, vocabulary: Sequence[str], name: str = "vocabulary"):
        super().__init__(name=name)
        prints, order = sorted_fingerprints(vocabulary)
        self.fingerprints = tf.Variable(
            prints, shape=[None], trainable=False, dtype=tf.int64, name=f"{name}_fingerprints"
        )
        self.rows = tf.Variable(order, shape=[None], trainable=False, dtype=tf.int32, name=f"{name}_rows")

    def __call__(self, strings: tf.Tensor) -> tf.Tensor:
        """Strings of any shape -> int32 rows of the same shape, -1 where unknown or empty."""
        return self.rows_of_fingerprints(fingerprints(strings), tf.strings.length(strings) > 0)

    def rows_of_fingerprints(self, prints: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
        """Fingerprints int64 of any shape, and which of them count -> int32 rows, -1 where unknown or not valid."""
        flat = tf.reshape(prints, [-1])
        size = tf.shape(self.fingerprints)[0]

        def search() -> tf.Tensor:
            place = tf.minimum(tf.searchsorted(self.fingerprints, flat, side="left"), size - 1)
            found = (tf.gather(self.fingerprints.value(), place) == flat) & tf.reshape(valid, [-1])
            return tf.where(found, tf.gather(self.rows.value(), place), -1)

        rows = tf.cond(size > 0, search, lambda: tf.fill(tf.shape(flat), -1))
        return tf.reshape(rows, tf.shape(prints))
