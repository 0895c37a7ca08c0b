"""Ids without a row of their own: each one's vector is composed of a few rows that it shares with others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.vocabulary import VocabularyLookup
from tfmmrec.randomness import RandomDraws
from tfmmrec.types import Embedded, UsageError

SHORTER = 0.1
"""How long vectors are at first, beside those of a table of all ids: what ids get of each other then is noise. Were
they as long, NDCG@20 of id_only on the fashion catalogue's validation data would be .065 for .108 (hashed) and .076 for
.090 (quotients and remainders), with rows for a quarter of the ids."""


class ComposedIdentifier(Encoder):
    """What ids of shared rows have in common: which of them are known, and identifier dropout.

    With a vocabulary an id outside of it carries no signal, as in `IdentifierEncoder`: its shared rows say something of
    other ids, which for a new candidate would stand as noise beside its content.

    Args:
        vocabulary: the known ids; None for an encoder that counts every id but the empty one as known.
        dim: size of the embedding.
        num_buckets: rows of the shared table, fewer than there are ids.
        dropout: share of the ids that are made absent in a training step, in [0, 1).
        embeddings_stddev: standard deviation of the initial vectors; 0.1/sqrt(dim) when None.

    Raises:
        UsageError: a size below 1, more buckets than an int32 counts, or a dropout out of range.
    """

    def __init__(
        self,
        vocabulary: Sequence[str] | None,
        dim: int,
        num_buckets: int,
        dropout: float,
        embeddings_stddev: float | None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0.0 <= dropout < 1.0:
            raise UsageError(f"identifier dropout must lie in [0, 1), got {dropout}")
        if dim < 1:
            raise UsageError(f"identifier dim must be at least 1, got {dim}")
        if not 1 <= num_buckets < 2**31:
            raise UsageError(f"identifier buckets must be 1 to 2,147,483,647, got {num_buckets}")
        self._ids = None if vocabulary is None else np.array([*vocabulary], object)  # as in `IdentifierEncoder`
        self.dim = dim
        self.num_buckets = num_buckets
        self.dropout = dropout
        self.embeddings_stddev = embeddings_stddev
        self._stddev = embeddings_stddev or SHORTER * dim**-0.5
        self.lookup = None if vocabulary is None else VocabularyLookup(self._ids, name=f"{self.name}_vocabulary")
        self.draws = RandomDraws(name="draws")

    @property
    def vocabulary(self) -> list[str] | None:
        """The known ids."""
        return None if self._ids is None else self._ids.tolist()

    def _table(self, name: str, shape: list[int], stddev: float, mean: float = 0.0) -> tf.Variable:
        return self.add_weight(name, shape, initializer=tf.keras.initializers.RandomNormal(mean, stddev))

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.string)

    def compose(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """The tensors of `preprocess` -> vectors `[batch, dim]`; what stands in those of unknown ids is not read."""
        raise NotImplementedError(f"{type(self).__name__} has no compose")

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        present = inputs["known"]  # [batch]
        if training and self.dropout > 0.0:
            present = present & (self.draws(tf.shape(present)) >= self.dropout)
        vector = tf.cast(self.compose(inputs), self.compute_dtype)
        return {"vector": vector * tf.cast(present, self.compute_dtype)[:, None], "present": present}

    def get_config(self):
        return super().get_config() | {
            "vocabulary": self.vocabulary,
            "dim": self.dim,
            "num_buckets": self.num_buckets,
            "dropout": self.dropout,
            "embeddings_stddev": self.embeddings_stddev,
        }
