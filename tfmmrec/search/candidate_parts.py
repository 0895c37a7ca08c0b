"""What a ranking model has of every candidate, found by id: in tables of its own, or beside a retriever's vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.vocabulary import VocabularyLookup
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.filter_columns import assign_all, vocabulary_replacements
from tfmmrec.types import UsageError


class CandidateParts(tf.Module):
    """Candidates' parts by their ids; histories pool them.

    The first dimension of every variable is open, as in `ExactIndex`: a saved model is given other candidates by
    `model.index.replace(ids, parts)`.

    Args:
        ids: `n` different strings, possibly none.
        parts: float32 `[n, dim]`.

    Raises:
        UsageError: the arrays do not fit each other.
    """

    history_vectors = None  # histories pool the parts

    def __init__(self, ids: Sequence[str], parts: np.ndarray, name: str = "index"):
        super().__init__(name=name)
        parts = np.asarray(parts, np.float32)
        if parts.ndim != 2 or len(parts) != len(ids):
            raise UsageError(f"{len(ids)} candidates need parts [{len(ids)}, dim], got {list(parts.shape)}")
        self.dim = parts.shape[1]
        self.parts = tf.Variable(tf.zeros([0, self.dim]), shape=[None, self.dim], trainable=False, name=f"{name}_parts")
        self.lookup = VocabularyLookup((), name=f"{name}_ids")
        signature = [tf.TensorSpec([None], tf.string, "ids"), tf.TensorSpec([None, self.dim], tf.float32, "parts")]
        self.replace = tf.function(self._replace, autograph=False, input_signature=signature)
        self.replace(tf.constant(list(ids), tf.string, [len(ids)]), parts)

    def _replace(self, ids, parts):
        message = "ids and parts must have the same length"
        same = tf.debugging.assert_equal(tf.shape(parts)[0], tf.shape(ids)[0], message=message)
        lookup, different = vocabulary_replacements(self.lookup, ids, "ids")
        assign_all([(self.parts, parts), *lookup], [same, different])

    @property
    def pooled(self) -> tf.Tensor:
        """What histories pool, float32 `[num_candidates, dim]`."""
        return tf.convert_to_tensor(self.parts)

    def rows_of(self, ids: tf.Tensor) -> tf.Tensor:
        """Ids of any shape -> int32 rows of the same shape, -1 where unknown or empty."""
        return self.lookup(ids)

    def arrays(self) -> dict[str, tf.Variable]:
        """Every variable by a name."""
        return {"parts": self.parts, "id_fingerprints": self.lookup.fingerprints, "id_rows": self.lookup.rows}


class IndexedParts:
    """The same of an index that has `parts` beside a retriever's vectors: nothing is held twice.

    Args:
        index: with parts.

    Raises:
        UsageError: it has none.
    """

    history_vectors = None

    def __init__(self, index: ExactIndex):
        if index.parts is None:
            raise UsageError("a ranking model behind an index needs its candidates' parts, and this index has none")
        self.parts = index.parts
        self.lookup = index.lookup
        self.rows_of = index.rows_of

    @property
    def pooled(self) -> tf.Tensor:
        """What histories pool, float32 `[num_candidates, dim]`."""
        return tf.convert_to_tensor(self.parts)
