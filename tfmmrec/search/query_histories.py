"""What known queries chose, beside an index: an id alone then brings its history with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.vocabulary import VocabularyLookup, fingerprints
from tfmmrec.types import UsageError


class QueryHistories(tf.Module):
    """The candidates of each known query, best known first, 8 bytes each.

    Candidates are kept by the fingerprints of their ids, not by their rows: an index that is given other candidates
    still finds those that it has.

    Args:
        query_ids: `n` different strings.
        indptr: int64 `[n + 1]`; the candidates of query q are `chosen[indptr[q]:indptr[q + 1]]`.
        chosen: int `[indptr[-1]]`, places in `candidate_ids`.
        candidate_ids: the strings of all candidates.

    Raises:
        UsageError: the arrays do not fit each other.
    """

    def __init__(
        self,
        query_ids: Sequence[str],
        indptr: np.ndarray,
        chosen: np.ndarray,
        candidate_ids: Sequence[str],
        name: str = "query_histories",
    ):
        super().__init__(name=name)
        if len(indptr) != len(query_ids) + 1 or indptr[-1] != len(chosen):
            raise UsageError(
                f"{len(query_ids)} queries with {len(chosen)} chosen candidates need an indptr of "
                f"{len(query_ids) + 1} numbers up to {len(chosen)}, got {len(indptr)} up to {indptr[-1]}"
            )
        known = np.flatnonzero(np.diff(indptr) > 0)
        self.lookup = VocabularyLookup([query_ids[row] for row in known], name=f"{name}_ids")
        self.starts = self._open("starts", np.concatenate([indptr[known], indptr[-1:]]).astype(np.int64))
        strings = tf.constant(list(candidate_ids), tf.string, shape=[len(candidate_ids)])
        self.candidates = self._open("candidates", fingerprints(strings).numpy()[np.asarray(chosen, np.int64)])

    def _open(self, what: str, values: np.ndarray) -> tf.Variable:
        return tf.Variable(values, shape=[None], trainable=False, name=f"{self.name}_{what}")

    def __call__(self, query_ids: tf.Tensor, candidates: VocabularyLookup) -> tf.Tensor:
        """Ids `[batch]` -> rows of an index, int32 `[batch, longest of the batch]`; -1 = none, or not in the index.

        Args:
            query_ids: who is asking; unknown ids have no history.
            candidates: the index's lookup of ids.
        """
        rows = self.lookup(query_ids)
        start = tf.gather(self.starts.value(), tf.maximum(rows, 0))
        end = tf.gather(self.starts.value(), tf.maximum(rows, 0) + tf.cast(rows >= 0, tf.int32))
        size = end - start  # 0 for an unknown query
        place = start[:, None] + tf.range(tf.reduce_max(tf.concat([size, [1]], 0)))  # [batch, longest]
        inside = place < end[:, None]
        chosen = tf.cond(
            tf.size(self.candidates) > 0,
            lambda: tf.gather(self.candidates.value(), tf.where(inside, place, 0)),
            lambda: tf.zeros(tf.shape(place), tf.int64),
        )
        return candidates.rows_of_fingerprints(chosen, inside)

    def arrays(self) -> dict[str, tf.Variable]:
        """Every variable by a name."""
        return {
            "query_fingerprints": self.lookup.fingerprints,
            "query_rows": self.lookup.rows,
            "starts": self.starts,
            "candidates": self.candidates,
        }
