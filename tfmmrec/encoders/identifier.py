"""The id itself as a modality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.vocabulary import VocabularyLookup
from tfmmrec.randomness import RandomDraws
from tfmmrec.sharded_tables import rows_of
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class IdentifierEncoder(Encoder):
    """String lookup and embedding, with identifier dropout.

    An id outside the vocabulary carries no signal rather than noise: its row is not present. Dropping known ids in
    training teaches the tower to stand on content (DropoutNet, Volkovs et al. 2017).

    Args:
        vocabulary: the known ids.
        dim: size of the embedding.
        dropout: share of the ids that are made absent in a training step, in [0, 1).
        embeddings_stddev: standard deviation of the initial embeddings; 1/sqrt(dim) when None.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        dim: int,
        dropout: float = 0.0,
        embeddings_stddev: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0.0 <= dropout < 1.0:
            raise UsageError(f"identifier dropout must lie in [0, 1), got {dropout}")
        if dim < 1:
            raise UsageError(f"identifier dim must be at least 1, got {dim}")
        self._ids = np.array([*vocabulary], object)  # Keras walks through a list, however long, whenever a fit begins
        self.dim = dim
        self.dropout = dropout
        self.embeddings_stddev = embeddings_stddev
        self.lookup = VocabularyLookup(self._ids, name=f"{self.name}_vocabulary")
        self.draws = RandomDraws(name="draws")
        self.num_terms = max(len(self._ids), 1)
        self.embeddings = self._table(tf.keras.initializers.RandomNormal(stddev=embeddings_stddev or dim**-0.5))

    def _table(self, initializer: tf.keras.initializers.Initializer) -> tf.Variable:
        return self.add_weight(name="embeddings", shape=[self.num_terms, self.dim], initializer=initializer)

    def _vectors(self, rows: tf.Tensor) -> tf.Tensor:
        return rows_of(self.embeddings, rows)

    @property
    def vocabulary(self) -> list[str]:
        """The known ids."""
        return self._ids.tolist()

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.string)

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ids, string `[batch]` -> `row`, int32 `[batch]`, -1 where unknown."""
        return {"row": self.lookup(raw)}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        rows = inputs["row"]  # [batch]
        present = rows >= 0
        if training and self.dropout > 0.0:
            present = present & (self.draws(tf.shape(rows)) >= self.dropout)
        known = tf.maximum(rows, 0)
        vector = self._vectors(known)  # [batch, dim]
        vector = tf.cast(vector, self.compute_dtype) * tf.cast(present, self.compute_dtype)[:, None]
        weights = tf.cast(present, tf.float32)
        return {"vector": vector, "present": present, "terms": known[:, None], "term_weights": weights[:, None]}

    def get_config(self):
        return super().get_config() | {
            "vocabulary": self.vocabulary,
            "dim": self.dim,
            "dropout": self.dropout,
            "embeddings_stddev": self.embeddings_stddev,
        }
