"""A candidate's fixed factors behind its trained vector, and their prediction from its content."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.linalg
import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors, of_length
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class BesideFactors(tf.keras.layers.Layer):
    """e = [inner(x_1; …; x_M) ; f] when it is used, and the inner fusion alone in training.

    f are the factors of a `FactorIdentifier`, or, where the id has none, [x̄ ; 1] R: a ridge regression of the known
    ids' factors on the content x̄, whose modalities are of unit length each and zero where absent. R is fitted in closed
    form by `fit_content`, as often as the encoders of content have changed.

    Args:
        inner: the fusion that is trained.
        rank: size of the factors.
        direct: the modality that brings `factors` and `known`.

    Raises:
        UsageError: rank below 1, or, when called, no such modality.
    """

    def __init__(self, inner: tf.keras.layers.Layer, rank: int, direct: str = "id", **kwargs):
        super().__init__(autocast=False, **kwargs)  # the factors stay in full precision until they are joined
        if rank < 1:
            raise UsageError(f"rank must be at least 1, got {rank}")
        self.inner = inner
        self.rank = rank
        self.direct = direct

    def build(self, input_shape):
        sizes = [shape["vector"][-1] for name, shape in input_shape.items() if name != self.direct]
        self.content_map = self.add_weight(
            name="content_map",
            shape=[sum(sizes) + 1, self.rank],
            initializer="zeros",
            dtype="float32",
            trainable=False,
            experimental_autocast=False,
        )
        super().build(input_shape)

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities -> `[batch, inner dim + rank]`, in training `[batch, inner dim]`."""
        if "factors" not in embedded.get(self.direct, {}):
            raise UsageError(f"BesideFactors expects {self.direct} with factors, of a FactorIdentifier")
        trained = self.inner(embedded, training=training)
        if training:
            return trained
        own = embedded[self.direct]
        predicted = tf.matmul(self.content(embedded), self.content_map)  # [batch, rank]
        factors = tf.where(own["known"][:, None], own["factors"], predicted)
        return tf.concat([trained, tf.cast(factors, trained.dtype)], axis=1)

    def content(self, embedded: Mapping[str, Embedded]) -> tf.Tensor:
        """[x̄ ; 1], float32 `[batch, content size + 1]`."""
        others = {name: part for name, part in embedded.items() if name != self.direct}
        ones = tf.ones_like(tf.cast(embedded[self.direct]["factors"][:, :1], tf.float32))
        vectors = masked_vectors(others, "float32") if others else []
        return tf.concat([*(of_length(vector, 1.0) for vector in vectors), ones], axis=1)

    def fit_content(self, content: np.ndarray, factors: np.ndarray, l2: float) -> None:
        """R = (X̄ᵀX̄ + λI)⁻¹ X̄ᵀF over known candidates.

        Args:
            content: X̄, of `content`, `[num_known, content size + 1]`.
            factors: F, `[num_known, rank]`.
            l2: λ, positive.
        """
        content = np.asarray(content, np.float64)
        system = content.T @ content
        system[np.diag_indices(len(system))] += l2
        found = scipy.linalg.solve(system, content.T @ np.asarray(factors, np.float64), assume_a="pos")
        self.content_map.assign(found.astype(np.float32))

    def get_config(self):
        inner = tf.keras.utils.serialize_keras_object(self.inner)
        return super().get_config() | {"inner": inner, "rank": self.rank, "direct": self.direct}

    @classmethod
    def from_config(cls, config):
        return cls(**(config | {"inner": tf.keras.utils.deserialize_keras_object(config["inner"])}))
