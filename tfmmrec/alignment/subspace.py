"""Subspace learning: all modalities of a candidate near one point of a shared space."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfmmrec.alignment.projected import ProjectedAlignment
from tfmmrec.types import UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class SubspaceAlignment(ProjectedAlignment):
    """Σ_m ‖P_m x_m − z‖² + ω Σ_m ‖P_m P_mᵀ − I‖²_F, z the mean of the present P_m x_m, without gradient.

    The first sum is over the present modalities and a mean over the rows that have any. The second keeps the
    projections from shrinking to agreement at 0; it can reach 0 where `dim` is not larger than a modality's vector.

    Args:
        dim: size of the shared space.
        orthogonality: ω.
        replace: the fusion gets P_m x_m in place of x_m.
        weight: of the whole loss.
        exclude: modalities that do not take part.

    Raises:
        UsageError: a size below 1, a negative weight or ω, or fewer than two modalities that take part.
    """

    def __init__(
        self,
        dim: int,
        orthogonality: float = 1.0,
        replace: bool = True,
        weight: float = 0.1,
        exclude: Sequence[str] = ("id",),
        **kwargs,
    ):
        super().__init__(dim, replace, weight, exclude, **kwargs)
        if not orthogonality >= 0.0:
            raise UsageError(f"subspace alignment's orthogonality must be at least 0, got {orthogonality}")
        self.orthogonality = orthogonality

    def alignment_loss(self, projected: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        projected, mask = tf.cast(projected, tf.float32), tf.cast(given, tf.float32)[..., None]
        number = tf.reduce_sum(mask, axis=1)  # [batch, 1]
        shared = tf.stop_gradient(tf.reduce_sum(projected * mask, axis=1) / tf.maximum(number, 1.0))  # [batch, dim]
        distances = tf.reduce_sum(mask * (projected - shared[:, None]) ** 2, axis=[1, 2])  # [batch]
        rows = tf.reduce_sum(tf.cast(number > 0.0, tf.float32))
        return tf.reduce_sum(distances) / tf.maximum(rows, 1.0) + self.orthogonality * self._unevenness()

    def _unevenness(self) -> tf.Tensor:
        """Σ_m ‖P_m P_mᵀ − I‖²_F."""
        identity = tf.eye(self.dim)
        return tf.add_n(
            [tf.reduce_sum((tf.matmul(kernel, kernel, transpose_a=True) - identity) ** 2) for kernel in self.kernels]
        )

    def get_config(self):
        return super().get_config() | {"orthogonality": self.orthogonality}
