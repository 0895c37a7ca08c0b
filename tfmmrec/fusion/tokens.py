"""Every modality as a sequence of tokens of one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.embedded import of_length
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class Tokens(tf.keras.layers.Layer):
    """T_m = S_m W_m: a modality's sequence, or its vector as a sequence of one, brought to one size.

    A modality has tokens where it is present and its `sequence_mask` says so; the others are zero. A modality keeps
    the form that it had when the weights were made. What an encoder computed beforehand is a vector without sequence.

    Args:
        dim: size of every token.
        direct: modalities whose tokens are taken as they are, such as an id's embedding; those that a batch does not
            have are passed over.
        scale: the tokens of the others are brought to this length before their projection; None leaves them as they
            are, see `EarlyFusion`.

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
        self.kernels: dict[str, tf.keras.layers.Dense] = {}

    def build(self, input_shape):
        for place, (name, shapes) in enumerate(sorted(input_shape.items())):
            shape = shapes.get("sequence", shapes["vector"])
            if name not in self.direct:
                self.kernels[name] = tf.keras.layers.Dense(self.dim, use_bias=False, name=f"projection_{place}")
                self.kernels[name].build(shape)
            elif shape[-1] != self.dim:
                raise UsageError(
                    f"a direct modality must have the result's size {self.dim}, but {name} has {shape[-1]}; take it "
                    f"out of direct={self.direct}"
                )
        super().build(input_shape)

    def call(self, embedded: Mapping[str, Embedded]) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Modalities of any sizes -> for each, by name, tokens `[batch, n_m, dim]` and their mask `[batch, n_m]`."""
        return [self._tokens(name, part) for name, part in sorted(embedded.items())]

    def _tokens(self, name: str, part: Embedded) -> tuple[tf.Tensor, tf.Tensor]:
        mask = part["present"][:, None]  # [batch, 1]
        tokens = part["vector"][:, None]  # [batch, 1, dim_m]
        if "sequence" in part:
            tokens, mask = part["sequence"], part["sequence_mask"] & mask  # [batch, n_m, dim_m], [batch, n_m]
        tokens = tf.cast(tokens, self.compute_dtype)
        tokens = tf.where(mask[..., None], tokens, tf.zeros_like(tokens))
        if name in self.kernels:
            if self.scale is not None:
                tokens = of_length(tokens, self.scale)
            tokens = self.kernels[name](tokens)
        return tokens, mask

    def get_config(self):
        return super().get_config() | {"dim": self.dim, "direct": list(self.direct), "scale": self.scale}
