"""Vectors that somebody else computed."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.types import Embedded


@tf.keras.utils.register_keras_serializable("tfmmrec")
class PrecomputedEncoder(Encoder):
    """A vector given as it is; the fusion projects it.

    Args:
        dim: its size.
        normalize: scale each vector to unit length.

    A row that holds a number which is not finite, or only zeros, is missing.
    """

    def __init__(self, dim: int, normalize: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.normalize = normalize

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, self.dim], tf.float32)

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Vectors `[batch, dim]` -> `value`, float32 `[batch, dim]`, zero where missing."""
        whole = tf.reduce_all(tf.math.is_finite(raw), axis=1, keepdims=True)
        return {"value": tf.where(whole, raw, tf.zeros_like(raw))}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        value = tf.cast(inputs["value"], tf.float32)  # [batch, dim]
        present = tf.reduce_any(value != 0.0, axis=1)
        if self.normalize:
            value = tf.math.l2_normalize(value, axis=1)
        return {"vector": tf.cast(value, self.compute_dtype), "present": present}

    def get_config(self):
        return super().get_config() | {"dim": self.dim, "normalize": self.normalize}
