"""Block fusion: the modalities side by side, and a bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors, of_length
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class BlockFusion(tf.keras.layers.Layer):
    """e = [γ ; E_1 f_1 ; … ; E_M f_M ; β + Σ_m β'_mᵀ f_m], the candidate's side of VBPR (He & McAuley 2016).

    The id's vector is [γ ; β], its last number being the candidate's own bias; each other modality f_m has a linear
    projection E_m and a bias β'_mᵀ f_m. A block of a modality that is absent is zero. The blocks stand in the order of
    the modalities' names. With a query [γ_u ; θ_1 ; … ; θ_M ; 1] (`OneHead`) the dot product is β + γ_uᵀγ +
    Σ_m θ_mᵀ E_m f_m + Σ_m β'_mᵀ f_m. Nothing may follow: a head or a normalisation would break that sum.

    Args:
        dim: size of each E_m f_m.
        direct: modalities that are a block and a bias already, such as an id's embedding; those that a batch does not
            have are passed over.
        scale: every f_m is brought to this length first; None leaves them as they are, see `EarlyFusion`.

    Raises:
        UsageError: a size below 1.
    """

    stands_last = True

    def __init__(self, dim: int, direct: Sequence[str] = ("id",), scale: float | None = None, **kwargs):
        super().__init__(**kwargs)
        if dim < 1:
            raise UsageError(f"a fusion's dim must be at least 1, got {dim}")
        self.dim = dim
        self.direct = tuple(direct)
        self.scale = scale
        self.projections: dict[str, tf.keras.layers.Dense] = {}

    def build(self, input_shape):
        for place, name in enumerate(sorted(set(input_shape) - set(self.direct))):
            # one product for both: the last column of the kernel is β'
            self.projections[name] = tf.keras.layers.Dense(self.dim + 1, use_bias=False, name=f"projection_{place}")
            self.projections[name].build(input_shape[name]["vector"])
        super().build(input_shape)

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, id_dim - 1 + num_others * dim + 1]`; id_dim counts the id's bias too."""
        blocks, biases = [], []
        for name, vector in zip(sorted(embedded), masked_vectors(embedded, self.compute_dtype), strict=True):
            if name in self.projections:
                if self.scale is not None:
                    vector = of_length(vector, self.scale)
                vector = self.projections[name](vector)
            blocks.append(vector[:, :-1])
            biases.append(vector[:, -1:])
        return tf.concat([*blocks, tf.add_n(biases)], axis=1)

    def get_config(self):
        return super().get_config() | {"dim": self.dim, "direct": list(self.direct), "scale": self.scale}
