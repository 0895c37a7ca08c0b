"""What all vectors of a pretrained encoder have in common, taken off them."""

from __future__ import annotations

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("tfmmrec")
class MeanCentering(tf.keras.layers.Layer):
    """x − μ, where there is an x; μ is the mean over a catalogue, and does not learn.

    Vectors of pretrained networks share a large part (Mu & Viswanath 2018, "All-but-the-top", section 2). In the mean
    over a history little else is left: it hides what one query's history differs in from another's.

    Attributes:
        mean: μ, float32 `[dim]`, zero until it is assigned.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def build(self, input_shape):
        self.mean = self.add_weight(
            "mean", [input_shape[-1]], "float32", "zeros", trainable=False, experimental_autocast=False
        )
        super().build(input_shape)

    def call(self, vectors: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """`[batch, dim]` and bool `[batch]` -> `[batch, dim]` of the same type, zero where there is nothing."""
        centred = tf.cast(vectors, tf.float32) - self.mean
        return tf.cast(tf.where(present[:, None], centred, 0.0), vectors.dtype)
