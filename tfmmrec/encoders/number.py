"""Numbers, as piecewise-linear codes over their quantiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class NumberEncoder(Encoder):
    """Piecewise-linear encoding over quantile bins, then a dense layer.

    Bin t holds clip((x − e_t) / (e_{t+1} − e_t), 0, 1) (Gorishniy et al. 2022, "On Embeddings for Numerical
    Features", eq. 1 with clipped ends). NaN and infinite numbers are missing values. The terms are the two edges beside
    the number, each the heavier the nearer: a linear model of them is a piecewise-linear function of the number.

    Args:
        edges: ascending bin edges, at least two different ones; the quantiles of the column.
        dim: size of the embedding.
    """

    def __init__(self, edges: Sequence[float], dim: int, **kwargs):
        super().__init__(**kwargs)
        unique = np.unique(np.asarray(edges, np.float64))
        if unique.size == 0 or not np.all(np.isfinite(unique)):
            raise UsageError(f"number edges must be finite and not empty, got {list(edges)[:5]}")
        if unique.size == 1:  # a constant column still needs a bin of some width
            unique = np.array([unique[0] - 0.5, unique[0] + 0.5])
        self.edges = [float(edge) for edge in unique]
        self.dim = dim
        self.num_terms = len(self.edges)
        self._lower = tf.constant(unique[:-1], tf.float32)
        self._width = tf.constant(np.diff(unique), tf.float32)
        self.projection = tf.keras.layers.Dense(dim, name="projection")

    def build(self, input_shape=None):
        self.projection.build([None, len(self.edges) - 1])
        super().build(input_shape)

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.float32)

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Numbers `[batch]` -> `value`, float32 `[batch]`, NaN where missing."""
        return {"value": tf.where(tf.math.is_finite(raw), raw, tf.constant(float("nan")))}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        value = inputs["value"]  # [batch]
        present = tf.math.is_finite(value)
        value = tf.where(present, value, 0.0)
        bins = tf.clip_by_value((value[:, None] - self._lower) / self._width, 0.0, 1.0)  # [batch, bins]
        vector = self.projection(tf.cast(bins, self.compute_dtype))
        place = tf.reduce_sum(bins, axis=1)  # [batch], in edges
        below = tf.minimum(tf.floor(place), self.num_terms - 2.0)
        above = place - below  # in [0, 1]
        return {
            "vector": vector * tf.cast(present, vector.dtype)[:, None],
            "present": present,
            "terms": tf.stack([tf.cast(below, tf.int32), tf.cast(below, tf.int32) + 1], axis=1),
            "term_weights": tf.stack([1.0 - above, above], axis=1) * tf.cast(present, tf.float32)[:, None],
        }

    def get_config(self):
        return super().get_config() | {"edges": self.edges, "dim": self.dim}
