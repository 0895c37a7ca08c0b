"""Late fusion: one score for each modality, combined by learned weights, as one dot product."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors, presence
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class LateFusion(tf.keras.layers.Layer):
    """The candidate's side of late (decision-level) fusion.

    Each modality is projected to a unit vector c_m and scaled by a_m = w_m b_m / Σ_j w_j b_j, with w the softmax of
    learned weights and b the presence; the blocks stand side by side. With the query's unit blocks q_m
    (`LateQueryHead`) the dot product is score = Σ_m a_m ⟨q_m, c_m⟩, so that it can be indexed. Nothing may follow:
    a head or a normalisation would break that sum.

    Args:
        dim: size of each block; the result has `num_modalities * dim`.

    Raises:
        UsageError: a size below 1.
    """

    stands_last = True

    def __init__(self, dim: int, **kwargs):
        super().__init__(**kwargs)
        if dim < 1:
            raise UsageError(f"late fusion's dim must be at least 1, got {dim}")
        self.dim = dim
        self.projections: list[tf.keras.layers.Dense] = []
        self.weight_logits = None

    def build(self, input_shape):
        names = sorted(input_shape)
        self.projections = [
            tf.keras.layers.Dense(self.dim, use_bias=False, name=f"projection_{i}") for i in range(len(names))
        ]
        for layer, name in zip(self.projections, names, strict=True):
            layer.build(input_shape[name]["vector"])
        self.weight_logits = self.add_weight(
            name="weight_logits", shape=[len(names)], initializer="zeros", experimental_autocast=False
        )
        super().build(input_shape)

    def weights_of(self, present: tf.Tensor) -> tf.Tensor:
        """a_m for presences `[batch, num_modalities]` of 0 and 1; rows sum to 1, or are 0 where nothing is there."""
        weighted = tf.nn.softmax(self.weight_logits) * tf.cast(present, tf.float32)
        return tf.math.divide_no_nan(weighted, tf.reduce_sum(weighted, axis=1, keepdims=True))

    def blocks(self, embedded: Mapping[str, Embedded]) -> list[tf.Tensor]:
        """Each modality's unit vector `[batch, dim]`, zero where absent."""
        vectors = masked_vectors(embedded, self.compute_dtype)
        projected = [layer(vector) for layer, vector in zip(self.projections, vectors, strict=True)]
        return [tf.math.l2_normalize(tf.cast(vector, tf.float32), axis=1) for vector in projected]

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, num_modalities * dim]`, float32."""
        weights = self.weights_of(presence(embedded, tf.float32))  # [batch, num_modalities]
        blocks = tf.stack(self.blocks(embedded), axis=1)  # [batch, num_modalities, dim]
        return tf.reshape(blocks * weights[..., None], [-1, blocks.shape[1] * self.dim])

    def get_config(self):
        return super().get_config() | {"dim": self.dim}
