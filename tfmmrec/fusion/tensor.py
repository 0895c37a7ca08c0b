"""Tensor fusion: every product of numbers of different modalities is a feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors
from tfmmrec.fusion.projections import Projections
from tfmmrec.types import Embedded, UsageError

LARGEST_MODALITY_DIM = 32


@tf.keras.utils.register_keras_serializable("tfmmrec")
class TensorFusion(tf.keras.layers.Layer):
    """e = W vec([x_1; 1] ⊗ … ⊗ [x_M; 1]) (TFN, Zadeh et al. 2017), each x_m projected to a small size first.

    The appended 1 keeps the products of fewer modalities, down to each alone and to a constant. An absent modality's
    x_m is zero: what is left are the products without it. The outer product has (modality_dim + 1)^M numbers for every
    row; `LowRankFusion` is the form for many modalities.

    Args:
        dim: size of the result.
        modality_dim: size of every x_m. None: the largest, up to 32, for which the product stays within `max_size`.
        direct: modalities of the result's size, such as an id's embedding, that are added to the result and take no
            part in the product; those that a batch does not have are passed over.
        scale: the others are brought to this length before their projection; None leaves them as they are, see
            `EarlyFusion`.
        max_size: limit of the numbers in a row's outer product; W has `dim` times as many.

    Raises:
        UsageError: a size below 1, an outer product over the limit, or a direct modality of another size than `dim`.
    """

    def __init__(
        self,
        dim: int,
        modality_dim: int | None = None,
        direct: Sequence[str] = (),
        scale: float | None = None,
        max_size: int = 100_000,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if dim < 1 or max_size < 1 or (modality_dim is not None and modality_dim < 1):
            raise UsageError(
                f"tensor fusion's dim, modality_dim and max_size must be at least 1, got {dim}, {modality_dim} and "
                f"{max_size}"
            )
        self.dim = dim
        self.modality_dim = modality_dim
        self.direct = tuple(direct)
        self.scale = scale
        self.max_size = max_size
        self.added: Projections | None = None
        self.projections: Projections | None = None
        self.kernel = None

    def build(self, input_shape):
        added = [name for name in input_shape if name in self.direct]
        num_modalities = len(input_shape) - len(added)
        modality_dim = self._modality_dim(num_modalities)
        if added:
            self.added = Projections(self.dim, direct=self.direct, name="added")
        if num_modalities or not added:
            self.projections = Projections(modality_dim, scale=self.scale, name="projections")
        # of the size that the modalities by themselves call for: most products of small numbers are smaller still
        self.kernel = self.add_weight(
            name="kernel",
            shape=[(modality_dim + 1) ** num_modalities, self.dim],
            initializer=tf.keras.initializers.RandomNormal(stddev=(num_modalities * modality_dim + 1) ** -0.5),
        )
        super().build(input_shape)

    def outer_product(self, embedded: Mapping[str, Embedded]) -> tf.Tensor:
        """Modalities of any sizes -> vec([x_1; 1] ⊗ … ⊗ [x_M; 1]), `[batch, (modality_dim + 1)^M]`, first x slowest."""
        if self.projections is None:  # nothing but what is added: the constant
            return tf.ones_like(masked_vectors(embedded, self.compute_dtype)[0][:, :1])
        others = {name: part for name, part in embedded.items() if name not in self.direct}
        projected = self.projections(others)  # [batch, num_modalities, modality_dim]
        product = tf.ones_like(projected[:, 0, :1])  # [batch, 1]
        for x in tf.unstack(projected, axis=1):
            x = tf.concat([x, tf.ones_like(x[:, :1])], axis=1)  # [batch, modality_dim + 1]
            size = product.shape[1] * x.shape[1]
            product = tf.reshape(product[:, :, None] * x[:, None, :], [-1, size])
        return product

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, dim]`."""
        fused = tf.matmul(self.outer_product(embedded), self.kernel)
        if self.added is None:
            return fused
        added = {name: part for name, part in embedded.items() if name in self.direct}
        return fused + tf.reduce_sum(self.added(added), axis=1)

    def _modality_dim(self, num_modalities: int) -> int:
        """The size of every x_m, after checking that the outer product keeps within the limit."""
        dims = range(1, LARGEST_MODALITY_DIM + 1)
        fitting = [dim for dim in dims if (dim + 1) ** num_modalities <= self.max_size]
        wanted = self.modality_dim or max(fitting, default=1)
        size = (wanted + 1) ** num_modalities
        if size > self.max_size:
            smaller = f"a modality_dim of at most {max(fitting)} or " if fitting else ""
            raise UsageError(
                f"tensor fusion's outer product of {num_modalities} modalities of size {wanted} has {size:,} numbers "
                f"in each row, the limit is max_size={self.max_size:,}; use {smaller}the low-rank form (LowRankFusion)"
            )
        return wanted

    def get_config(self):
        return super().get_config() | {
            "dim": self.dim,
            "modality_dim": self.modality_dim,
            "direct": list(self.direct),
            "scale": self.scale,
            "max_size": self.max_size,
        }
