"""Alignment of linear projections to one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.alignment.alignment import Alignment
from tfmmrec.types import Embedded, UsageError


class ProjectedAlignment(Alignment):
    """The loss is over h_m = P_m x_m, one projection for each modality.

    Args:
        dim: size of every h_m.
        replace: the fusion gets h_m in place of x_m. Without it the values stay as they are and the loss is felt by
            encoders that are trained only: vectors that were computed once, before training, cannot follow it.
        weight: of the loss.
        exclude: modalities that do not take part.

    Raises:
        UsageError: a size below 1, a negative weight, or fewer than two modalities that take part.
    """

    def __init__(
        self, dim: int, replace: bool = False, weight: float = 0.1, exclude: Sequence[str] = ("id",), **kwargs
    ):
        super().__init__(weight, exclude, **kwargs)
        if dim < 1:
            raise UsageError(f"an alignment's dim must be at least 1, got {dim}")
        self.dim = dim
        self.replace = replace
        self.kernels: list[tf.Variable] = []

    def build(self, input_shape):
        self.kernels = [
            self.add_weight(
                name=f"projection_{place}",
                shape=[input_shape[name]["vector"][-1], self.dim],  # P_m transposed
                initializer=tf.keras.initializers.Orthogonal(),
                experimental_autocast=False,
            )
            for place, name in enumerate(self.participants(input_shape))
        ]
        super().build(input_shape)

    def project(self, embedded: Mapping[str, Embedded]) -> tf.Tensor:
        """h_m, `[batch, num_modalities, dim]` in the compute dtype, zero where absent."""
        vectors = zip(self.vectors(embedded), self.kernels, strict=True)
        return tf.stack([tf.matmul(vector, tf.cast(kernel, vector.dtype)) for vector, kernel in vectors], axis=1)

    def alignment_loss(self, projected: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        """`[batch, num_modalities, dim]` and which of them count, bool `[batch, num_modalities]` -> float32 scalar."""
        raise NotImplementedError(f"{type(self).__name__} has no alignment_loss")

    def call(
        self, embedded: Mapping[str, Embedded], counted: tf.Tensor | None = None, training: bool | None = None
    ) -> dict[str, Embedded]:
        """Embedded modalities -> the same, those that take part projected where `replace` is set."""
        result = {name: dict(part) for name, part in embedded.items()}
        if not training and not self.replace:
            return result
        projected = self.project(embedded)
        if training:
            self.add_loss(self.weight * self.alignment_loss(projected, self.given(embedded, counted)))
        if self.replace:
            for place, name in enumerate(self.participants(embedded)):
                result[name]["vector"] = projected[:, place]
        return result

    def get_config(self):
        return super().get_config() | {"dim": self.dim, "replace": self.replace}
