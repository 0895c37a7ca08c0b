"""What fusions read of embedded modalities, in one order: by name."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.types import Embedded, UsageError


def masked_vectors(embedded: Mapping[str, Embedded], dtype: str) -> list[tf.Tensor]:
    """The modalities' vectors `[batch, dim_m]` in the order of their names, zero where absent.

    Raises:
        UsageError: there is no modality.
    """
    if not embedded:
        raise UsageError("a fusion needs at least one modality, got none; give the tower an encoder")
    vectors = []
    for _, part in sorted(embedded.items()):
        vector = tf.cast(part["vector"], dtype)  # [batch, dim_m]
        vectors.append(tf.where(part["present"][:, None], vector, tf.zeros_like(vector)))
    return vectors


def presence(embedded: Mapping[str, Embedded], dtype: str) -> tf.Tensor:
    """Which modalities are there, `[batch, num_modalities]` of 0 and 1, in the order of their names."""
    return tf.stack([tf.cast(part["present"], dtype) for _, part in sorted(embedded.items())], axis=1)


def of_length(vectors: tf.Tensor, length: float) -> tf.Tensor:
    """Vectors `[..., dim]` brought to this length; zero stays zero. In float32: half precision overflows."""
    unit = tf.math.l2_normalize(tf.cast(vectors, tf.float32), axis=-1, epsilon=1e-6)
    return tf.cast(unit * length, vectors.dtype)
