"""What every alignment is: a layer from embedded modalities to embedded modalities that adds a loss in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.types import Embedded, UsageError


class Alignment(tf.keras.layers.Layer):
    """Who takes part, what the loss weighs, which rows it is a mean over.

    Args:
        weight: of the loss.
        exclude: modalities that do not take part and pass unchanged; those that a batch does not have are passed over.
            The id by default: it says nothing of a candidate that another modality could agree with.

    Raises:
        UsageError: a negative weight, or fewer than two modalities that take part.
    """

    def __init__(self, weight: float = 0.1, exclude: Sequence[str] = ("id",), **kwargs):
        super().__init__(autocast=False, **kwargs)  # what takes no part passes as it is
        if not weight >= 0.0:
            raise UsageError(f"an alignment's weight must be at least 0, got {weight}")
        self.weight = weight
        self.exclude = tuple(exclude)

    def participants(self, modalities: Mapping) -> list[str]:
        """The names of those that take part, in their order.

        Raises:
            UsageError: there are fewer than two.
        """
        names = sorted(set(modalities) - set(self.exclude))
        if len(names) < 2:
            found, left_out = ", ".join(names) or "none", ", ".join(self.exclude) or "none"
            raise UsageError(
                f"{self.name} aligns modalities with each other and needs at least two, got {found} (it leaves out "
                f"{left_out}); add a feature or do without the alignment"
            )
        return names

    def vectors(self, embedded: Mapping[str, Embedded]) -> list[tf.Tensor]:
        """Of those that take part, `[batch, dim_m]` each in the compute dtype, zero where absent."""
        masked = []
        for name in self.participants(embedded):
            vector = tf.cast(embedded[name]["vector"], self.compute_dtype)
            masked.append(tf.where(embedded[name]["present"][:, None], vector, tf.zeros_like(vector)))
        return masked

    def present(self, embedded: Mapping[str, Embedded]) -> tf.Tensor:
        """Which of those that take part are there, bool `[batch, num_modalities]`."""
        return tf.stack([embedded[name]["present"] for name in self.participants(embedded)], axis=1)

    def given(self, embedded: Mapping[str, Embedded], counted: tf.Tensor | None) -> tf.Tensor:
        """Which of them the loss is over, bool `[batch, num_modalities]`: present, not imputed, the row counted."""
        given = []
        for name in self.participants(embedded):
            part = embedded[name]
            given.append(part["present"] & ~part["imputed"] if "imputed" in part else part["present"])
        given = tf.stack(given, axis=1)
        return given if counted is None else given & counted[:, None]

    def call(
        self, embedded: Mapping[str, Embedded], counted: tf.Tensor | None = None, training: bool | None = None
    ) -> dict[str, Embedded]:
        """Embedded modalities -> embedded modalities.

        Args:
            embedded: of one candidate a row.
            counted: bool `[batch]`, the rows that the loss is over; None for all.
            training: add the loss.
        """
        raise NotImplementedError(f"{type(self).__name__} has no call")

    def get_config(self):
        return super().get_config() | {"weight": self.weight, "exclude": list(self.exclude)}
