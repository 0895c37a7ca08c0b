"""The query's side of late and hybrid fusion."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.types import UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class LateQueryHead(tf.keras.layers.Layer):
    """One projection of the query's whole fused state for each block of the candidate, each of unit length.

    A query has no missing blocks: ⟨q_m, c_m⟩ exists for every modality that a candidate has.

    Args:
        num_blocks: blocks of the candidate's vector: its modalities, and one more under hybrid fusion.
        dim: size of a block.

    Raises:
        UsageError: a number below 1.
    """

    def __init__(self, num_blocks: int, dim: int, **kwargs):
        super().__init__(**kwargs)
        if num_blocks < 1 or dim < 1:
            raise UsageError(f"num_blocks and dim must be at least 1, got {num_blocks} and {dim}")
        self.num_blocks = num_blocks
        self.dim = dim
        self.projection = tf.keras.layers.Dense(num_blocks * dim, name="projection")

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """`[batch, any]` -> `[batch, num_blocks * dim]`, float32."""
        projected = tf.cast(self.projection(inputs), tf.float32)
        blocks = tf.reshape(projected, [-1, self.num_blocks, self.dim])  # [batch, num_blocks, dim]
        return tf.reshape(tf.math.l2_normalize(blocks, axis=2), [-1, self.num_blocks * self.dim])

    def get_config(self):
        return super().get_config() | {"num_blocks": self.num_blocks, "dim": self.dim}
