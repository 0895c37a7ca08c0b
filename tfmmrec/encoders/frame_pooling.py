"""One vector of a video from those of its frames."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from tfmmrec.types import UsageError

POOLINGS = ("mean", "attention", "gru")


@tf.keras.utils.register_keras_serializable("tfmmrec")
class FramePooling(tf.keras.layers.Layer):
    """Frames' vectors, in order, pooled over time.

    Args:
        dim: size of a frame's vector, and of the result.
        num_frames: how many there are at most.
        pooling: `mean`; `attention`, a mean with the weights softmax(wᵀ tanh(V h)) (Ilse et al. 2018, "Attention-based
            deep multiple instance learning"); or the last state of a `gru` over them.

    Frames that are not there are left out of every pooling.
    """

    def __init__(self, dim: int, num_frames: int, pooling: Literal["mean", "attention", "gru"] = "mean", **kwargs):
        super().__init__(autocast=False, **kwargs)
        if pooling not in POOLINGS:
            raise UsageError(f"pooling must be mean, attention or gru, got {pooling!r}")
        self.dim = dim
        self.num_frames = num_frames
        self.pooling = pooling
        if pooling == "attention":
            self.hidden = tf.keras.layers.Dense(dim, activation="tanh", name="hidden")
            self.importance = tf.keras.layers.Dense(1, use_bias=False, name="importance")
        elif pooling == "gru":
            self.recurrence = tf.keras.layers.GRU(dim, name="recurrence")

    def build(self, input_shape=None):
        shape = tf.TensorShape([None, self.num_frames, self.dim])
        if self.pooling == "attention":
            self.hidden.build(shape)
            self.importance.build(shape)
        elif self.pooling == "gru":
            self.recurrence.build(shape)
        super().build(shape)

    def call(self, frames: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
        """`[batch, num_frames, dim]` and bool `[batch, num_frames]`, which of them are there -> `[batch, dim]`."""
        if self.pooling == "gru":
            some = there | (tf.range(self.num_frames) == 0)[None, :]  # a row without any frame is not looked at anyway
            return self.recurrence(frames, mask=some)
        logits = tf.zeros_like(frames[..., 0], tf.float32)  # [batch, frames]
        if self.pooling == "attention":
            logits = tf.cast(self.importance(self.hidden(frames)), tf.float32)[..., 0]
        shares = tf.nn.softmax(tf.where(there, logits, -1e9), axis=1)
        return tf.reduce_sum(frames * tf.cast(shares, frames.dtype)[..., None], axis=1)

    def get_config(self):
        return super().get_config() | {"dim": self.dim, "num_frames": self.num_frames, "pooling": self.pooling}
