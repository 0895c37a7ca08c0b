"""Fields fusion: every modality a vector of one size, side by side with what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.embedded import presence
from tfmmrec.fusion.projections import Projections
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class FieldsFusion(tf.keras.layers.Layer):
    """e = [v_1 ; … ; v_F ; b_1 … b_F]: the field vectors v_f = W_f x_f, zero where absent, and the presence b.

    What a ranking model's scorer reads of a side: nothing is fused yet, for how much a field counts is said by the
    other side too. The fields stand in the order of their names; `split_fields` takes them apart. Nothing may follow.

    Args:
        dim: size of every v_f.
        direct: modalities that are taken as they are, see `Projections`.
        scale: length of the others before their projection, see `Projections`.

    Raises:
        UsageError: a size below 1, or a direct modality of another size than `dim`.
    """

    stands_last = True

    def __init__(self, dim: int, direct: Sequence[str] = (), scale: float | None = None, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.direct = tuple(direct)
        self.scale = scale
        self.projections = Projections(dim, self.direct, scale, name="projections")

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, num_fields * dim + num_fields]`."""
        vectors = self.projections(embedded)  # [batch, num_fields, dim]
        flat = tf.reshape(vectors, [-1, vectors.shape[1] * self.dim])
        return tf.concat([flat, presence(embedded, self.compute_dtype)], axis=1)

    def get_config(self):
        return super().get_config() | {"dim": self.dim, "direct": list(self.direct), "scale": self.scale}


def split_fields(parts: tf.Tensor, num_fields: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Takes apart what `FieldsFusion` gives.

    Args:
        parts: `[batch, num_fields * dim + num_fields]`.
        num_fields: F.

    Returns:
        The field vectors `[batch, num_fields, dim]` and their presence bool `[batch, num_fields]`.

    Raises:
        UsageError: parts that do not hold so many fields.

    >>> import tensorflow as tf
    >>> vectors, present = split_fields(tf.constant([[1., 2., 0., 0., 1., 0.]]), 2)
    >>> vectors.numpy().tolist(), present.numpy().tolist()
    ([[[1.0, 2.0], [0.0, 0.0]]], [[True, False]])
    """
    size = parts.shape[-1]
    if num_fields < 1 or size % num_fields or size // num_fields < 2:
        raise UsageError(
            f"{num_fields} fields of one size, each with its presence, cannot be {size} numbers; give the scorer the "
            "names of all of its towers' fields"
        )
    vectors = tf.reshape(parts[:, :-num_fields], [-1, num_fields, size // num_fields - 1])
    return vectors, parts[:, -num_fields:] > 0
