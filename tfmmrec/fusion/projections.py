"""Every modality brought to one size, as the fusions that add or compare modalities need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors, of_length
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class Projections(tf.keras.layers.Layer):
    """x_m = W_m v_m for every modality m, zero where it is absent.

    Args:
        dim: size of every x_m.
        direct: modalities that are taken as they are, such as an id's embedding; those that a batch does not have are
            passed over.
        scale: the others are brought to this length before their projection; None leaves them as they are, see
            `EarlyFusion`.

    Raises:
        UsageError: a size below 1, or a direct modality of another size than `dim`.
    """

    def __init__(self, dim: int, direct: Sequence[str] = (), scale: float | None = None, **kwargs):
        super().__init__(**kwargs)
        if dim < 1:
            raise UsageError(f"a fusion's dim must be at least 1, got {dim}")
        self.dim = dim
        self.direct = tuple(direct)
        self.scale = scale
        self.names: tuple[str, ...] = ()
        self.kernels: dict[str, tf.keras.layers.Dense] = {}

    def build(self, input_shape):
        self.names = tuple(sorted(input_shape))
        for place, name in enumerate(self.names):
            shape = input_shape[name]["vector"]
            if name not in self.direct:
                self.kernels[name] = tf.keras.layers.Dense(self.dim, use_bias=False, name=f"projection_{place}")
                self.kernels[name].build(shape)
            elif shape[-1] != self.dim:
                raise UsageError(
                    f"a direct modality must have the result's size {self.dim}, but {name} has {shape[-1]}; take it "
                    f"out of direct={self.direct}"
                )
        super().build(input_shape)

    def call(self, embedded: Mapping[str, Embedded]) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, num_modalities, dim]`, in the order of their names."""
        projected = []
        for name, vector in zip(sorted(embedded), masked_vectors(embedded, self.compute_dtype), strict=True):
            if name in self.kernels:
                if self.scale is not None:
                    vector = of_length(vector, self.scale)
                vector = self.kernels[name](vector)
            projected.append(vector)
        return tf.stack(projected, axis=1)

    def get_config(self):
        return super().get_config() | {"dim": self.dim, "direct": list(self.direct), "scale": self.scale}
