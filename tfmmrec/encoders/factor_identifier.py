"""An id that has fixed factors beside its embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class FactorIdentifier(IdentifierEncoder):
    """An identifier that gives `factors` too, `[batch, rank]`, and whether they are `known`, bool `[batch]`.

    The factors are set once, from the interactions, and are not trained. They are not dropped in training as the
    embedding is.

    Args:
        vocabulary: the known ids.
        dim: size of the embedding.
        rank: size of the factors.
        **options: see `IdentifierEncoder`.

    Raises:
        UsageError: a size below 1.
    """

    def __init__(self, vocabulary: Sequence[str], dim: int, rank: int, **options):
        super().__init__(vocabulary, dim, **options)
        if rank < 1:
            raise UsageError(f"rank must be at least 1, got {rank}")
        self.rank = rank
        self.factors = self.add_weight(
            name="factors",
            shape=[self.embeddings.shape[0], rank],
            initializer="zeros",
            dtype="float32",
            trainable=False,
            experimental_autocast=False,
        )

    def set_factors(self, factors: np.ndarray) -> None:
        """Gives the known ids' factors, `[vocabulary, rank]`."""
        self.factors.assign(factors)

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        known = inputs["row"] >= 0  # [batch]
        factors = tf.where(known[:, None], tf.gather(self.factors, tf.maximum(inputs["row"], 0)), 0.0)  # [batch, rank]
        return super().call(inputs, training) | {"factors": factors, "known": known}

    def get_config(self):
        return super().get_config() | {"rank": self.rank}
