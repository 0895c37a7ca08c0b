"""Low-rank fusion: tensor fusion whose weights are a short sum of outer products, so that no tensor is ever formed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors, of_length
from tfmmrec.fusion.projections import Projections
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class LowRankFusion(tf.keras.layers.Layer):
    """e = Σ_r ⊙_m W_m^(r) [x_m; 1] + c (LMF, Liu et al. 2018), ⊙ the product of the elements.

    It is tensor fusion, e = W vec([x_1; 1] ⊗ … ⊗ [x_M; 1]), with a row of W being Σ_r w_1^(r) ⊗ … ⊗ w_M^(r). The sum
    over r stands outside the product, as that tensor and the paper's code have it: ⊙_m Σ_r W_m^(r) [x_m; 1], which the
    paper prints as well, would be of rank 1 whatever the rank. An absent modality's x_m is zero, its factor a constant.

    In the beginning the constants' product over m sums to 1 over r, which c takes away: a row of which nothing is known
    starts near zero. The variance of the other weights is divided by M, so that a product of many factors neither
    vanishes nor explodes: (1 + s / M)^M <= e^s.

    Args:
        dim: size of the result.
        rank: how many products are summed.
        direct: modalities of the result's size, such as an id's embedding, that are added to the result and take no
            part in the product; those that a batch does not have are passed over.
        scale: the others are brought to this length first; None leaves them as they are, see `EarlyFusion`.

    Raises:
        UsageError: a size below 1, or a direct modality of another size than `dim`.
    """

    def __init__(self, dim: int, rank: int = 4, direct: Sequence[str] = (), scale: float | None = None, **kwargs):
        super().__init__(**kwargs)
        if dim < 1 or rank < 1:
            raise UsageError(f"low-rank fusion's dim and rank must be at least 1, got {dim} and {rank}")
        self.dim = dim
        self.rank = rank
        self.direct = tuple(direct)
        self.scale = scale
        self.added: Projections | None = None
        self.factors: list[tf.keras.layers.Dense] = []
        self.bias = None

    def build(self, input_shape):
        others = sorted(name for name in input_shape if name not in self.direct)
        if len(others) < len(input_shape):
            self.added = Projections(self.dim, direct=self.direct, name="added")
        for place, name in enumerate(others):
            # [W_m^(1); …; W_m^(R)] as one kernel; the weights of the appended 1 are its bias
            layer = tf.keras.layers.Dense(
                self.rank * self.dim,
                kernel_initializer=tf.keras.initializers.VarianceScaling(1.0 / len(others), "fan_in"),
                bias_initializer=tf.keras.initializers.Constant(self.rank ** (-1.0 / len(others))),
                name=f"factor_{place}",
            )
            layer.build(input_shape[name]["vector"])
            self.factors.append(layer)
        self.bias = self.add_weight(
            name="bias", shape=[self.dim], initializer=tf.keras.initializers.Constant(-1.0 if others else 0.0)
        )
        super().build(input_shape)

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, dim]`."""
        fused = self._product(embedded) if self.factors or self.added is None else 0.0
        if self.added is not None:
            added = {name: part for name, part in embedded.items() if name in self.direct}
            fused += tf.reduce_sum(self.added(added), axis=1)
        return fused + self.bias

    def _product(self, embedded: Mapping[str, Embedded]) -> tf.Tensor:
        """Σ_r ⊙_m W_m^(r) [x_m; 1], `[batch, dim]`."""
        others = {name: part for name, part in embedded.items() if name not in self.direct}
        product = 1.0
        for layer, vector in zip(self.factors, masked_vectors(others, self.compute_dtype), strict=True):
            if self.scale is not None:
                vector = of_length(vector, self.scale)
            product *= layer(vector)  # [batch, rank * dim]
        return tf.reduce_sum(tf.reshape(product, [-1, self.rank, self.dim]), axis=1)

    def get_config(self):
        return super().get_config() | {
            "dim": self.dim,
            "rank": self.rank,
            "direct": list(self.direct),
            "scale": self.scale,
        }
