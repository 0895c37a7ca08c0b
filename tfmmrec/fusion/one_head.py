"""The query's side of a score with a bias."""

from __future__ import annotations

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("tfmmrec")
class OneHead(tf.keras.layers.Layer):
    """q -> [q ; 1], so that the last number of a candidate's vector is its bias: ⟨[q ; 1], [c ; β]⟩ = ⟨q, c⟩ + β."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """`[batch, dim]` -> `[batch, dim + 1]`."""
        return tf.pad(inputs, [(0, 0), (0, 1)], constant_values=1.0)
