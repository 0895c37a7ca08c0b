"""Early fusion: one network over all modalities side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors, presence
from tfmmrec.randomness import Dropout
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class EarlyFusion(tf.keras.layers.Layer):
    """e = MLP([x_1; …; x_M; b]): the vectors, zero where absent, and which of them are present, through an MLP.

    Without hidden layers it is linear: every modality has its own projection, and the sum is the vector.

    Args:
        dim: size of the result.
        hidden_dims: sizes of the hidden layers, each with ReLU and dropout.
        activation: of the result, such as "tanh"; none by default.
        dropout: in the hidden layers, in [0, 1).

    Raises:
        UsageError: a size below 1 or a dropout outside [0, 1).
    """

    def __init__(
        self,
        dim: int,
        hidden_dims: Sequence[int] = (),
        activation: str | None = None,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if min([dim, *hidden_dims]) < 1:
            raise UsageError(f"fusion sizes must be at least 1, got dim={dim}, hidden_dims={tuple(hidden_dims)}")
        if not 0.0 <= dropout < 1.0:
            raise UsageError(f"dropout must lie in [0, 1), got {dropout}")
        self.dim = dim
        self.hidden_dims = tuple(hidden_dims)
        self.activation = activation
        self.dropout = dropout
        self.hidden = [
            tf.keras.layers.Dense(size, activation="relu", name=f"hidden_{i}")
            for i, size in enumerate(self.hidden_dims)
        ]
        self.dropouts = [Dropout(dropout, name=f"dropout_{i}") for i in range(len(self.hidden_dims))]
        self.output_layer = tf.keras.layers.Dense(dim, activation=activation, name="output")

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, dim]`."""
        parts = [*masked_vectors(embedded, self.compute_dtype), presence(embedded, self.compute_dtype)]
        x = tf.concat(parts, axis=1)  # [batch, sum of the sizes + num_modalities]
        for layer, dropout in zip(self.hidden, self.dropouts, strict=True):
            x = dropout(layer(x), training=training)
        return self.output_layer(x)

    def get_config(self):
        return super().get_config() | {
            "dim": self.dim,
            "hidden_dims": list(self.hidden_dims),
            "activation": self.activation,
            "dropout": self.dropout,
        }
