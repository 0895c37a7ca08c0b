"""A history's fixed factors behind the query's trained vector."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class BesideHistory(tf.keras.layers.Layer):
    """e = [inner(x_1; …; x_M) ; α f] when it is used, and the inner fusion alone in training.

    When used, a history pools vectors that have factors behind them: the first `dim` numbers of its vector are for the
    inner fusion, the others are f. In training there need be no others. α is set by `set_scale`.

    Args:
        inner: the fusion that is trained.
        dim: size of a history's vector without factors.
        rank: size of the factors.
        history: the modality that is a history.

    Raises:
        UsageError: a size below 1, or, when called, no history, or one without factors.
    """

    def __init__(self, inner: tf.keras.layers.Layer, dim: int, rank: int, history: str = "history", **kwargs):
        super().__init__(autocast=False, **kwargs)  # the factors stay in full precision until they are joined
        if dim < 1 or rank < 1:
            raise UsageError(f"dim and rank must be at least 1, got {dim} and {rank}")
        self.inner = inner
        self.dim = dim
        self.rank = rank
        self.history = history
        self.scale = self.add_weight(
            name="scale", shape=[], initializer="ones", dtype="float32", trainable=False, experimental_autocast=False
        )

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities -> `[batch, inner dim + rank]`, in training `[batch, inner dim]`."""
        if self.history not in embedded:
            raise UsageError(f"BesideHistory expects a {self.history}, got {', '.join(sorted(embedded))}")
        own = embedded[self.history]
        vector = own["vector"]  # [batch, dim + rank], in training perhaps [batch, dim]
        inputs = dict(embedded) | {self.history: dict(own) | {"vector": vector[:, : self.dim]}}
        trained = self.inner(inputs, training=training)
        if training:
            return trained
        if vector.shape[-1] != self.dim + self.rank:
            raise UsageError(
                f"BesideHistory expects {self.rank} factors behind the {self.dim} numbers of a {self.history}, "
                f"got a vector of {vector.shape[-1]}"
            )
        factors = tf.where(own["present"][:, None], tf.cast(vector[:, self.dim :], tf.float32), 0.0)
        return tf.concat([trained, tf.cast(self.scale * factors, trained.dtype)], axis=1)

    def set_scale(self, scale: float) -> None:
        """Sets α."""
        self.scale.assign(scale)

    def get_config(self):
        inner = tf.keras.utils.serialize_keras_object(self.inner)
        return super().get_config() | {"inner": inner, "dim": self.dim, "rank": self.rank, "history": self.history}

    @classmethod
    def from_config(cls, config):
        return cls(**(config | {"inner": tf.keras.utils.deserialize_keras_object(config["inner"])}))
