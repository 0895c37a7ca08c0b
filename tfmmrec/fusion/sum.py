"""Sum fusion: the vectors added as they are."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class SumFusion(tf.keras.layers.Layer):
    """e = Σ_m x_m over the modalities that are there: no weights, and zero where nothing is there.

    Of a side that is an id alone it gives the rows of its table, as matrix factorisation has them.

    Raises:
        UsageError: when called, for modalities of different sizes.
    """

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of one size -> `[batch, dim]`."""
        vectors = masked_vectors(embedded, self.compute_dtype)
        sizes = {name: vector.shape[-1] for name, vector in zip(sorted(embedded), vectors, strict=True)}
        if len(set(sizes.values())) > 1:
            raise UsageError(
                f"SumFusion adds modalities of one size, got {', '.join(f'{n}: {s}' for n, s in sizes.items())}; "
                "EarlyFusion projects them to one"
            )
        return tf.add_n(vectors)
