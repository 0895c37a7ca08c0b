"""The network that makes a score of what a ranking model compares."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfmmrec.randomness import Dropout
from tfmmrec.types import UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class ScoreNetwork(tf.keras.layers.Layer):
    """MLP(x) -> a logit: hidden layers with ReLU and dropout, then a linear one in full precision.

    Args:
        hidden_dims: sizes of the hidden layers.
        dropout: in them, in [0, 1).
        use_bias: the logit has a bias. It cancels in a softmax, which could not train it.

    Raises:
        UsageError: a size below 1, or a dropout outside [0, 1).
    """

    def __init__(self, hidden_dims: Sequence[int] = (), dropout: float = 0.0, use_bias: bool = True, **kwargs):
        super().__init__(**kwargs)
        if min([1, *hidden_dims]) < 1:
            raise UsageError(f"hidden layers need at least 1 unit, got hidden_dims={tuple(hidden_dims)}")
        self.hidden_dims = tuple(hidden_dims)
        self.dropout = dropout
        self.use_bias = use_bias
        self.hidden = [
            tf.keras.layers.Dense(size, activation="relu", name=f"hidden_{i}")
            for i, size in enumerate(self.hidden_dims)
        ]
        self.dropouts = [Dropout(dropout, name=f"dropout_{i}") for i in range(len(self.hidden_dims))]
        self.output_layer = tf.keras.layers.Dense(1, use_bias=use_bias, dtype="float32", name="output")

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """`[n, size]` -> float32 `[n]`."""
        x = inputs
        for layer, dropout in zip(self.hidden, self.dropouts, strict=True):
            x = dropout(layer(x), training=training)
        return self.output_layer(tf.cast(x, tf.float32))[:, 0]

    def get_config(self):
        return super().get_config() | {
            "hidden_dims": list(self.hidden_dims),
            "dropout": self.dropout,
            "use_bias": self.use_bias,
        }
