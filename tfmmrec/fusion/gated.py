"""Gated fusion: gates decide, entry by entry, how much of each modality goes into the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.projections import Projections
from tfmmrec.randomness import Dropout
from tfmmrec.types import Embedded


@tf.keras.utils.register_keras_serializable("tfmmrec")
class GatedFusion(tf.keras.layers.Layer):
    """e = Σ_m g_m ⊙ x_m, g_m = σ(W_m [x_1; …; x_M] + c_m), with x_m zero where absent.

    The gated multimodal unit (Arevalo et al. 2017, "Gated multimodal units for information fusion") in its form for any
    number of modalities, a gate each; what it adds is the linear `Projections`, an id's embedding included, where the
    paper has tanh(W v_m). The bias c_m, 0 at the start, lets a gate rest elsewhere than half open where the vectors it
    reads are short (`scale`).

    Args:
        dim: size of the result.
        direct: modalities that are taken as they are, see `Projections`.
        scale: length of the others before their projection, see `Projections`.
        dropout: in what the gates read, in [0, 1); what goes through them is left whole.

    Raises:
        UsageError: a size below 1, a dropout outside [0, 1), or a direct modality of another size than `dim`.
    """

    def __init__(
        self, dim: int, direct: Sequence[str] = (), scale: float | None = None, dropout: float = 0.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.dim = dim
        self.direct = tuple(direct)
        self.scale = scale
        self.dropout = dropout
        self.projections = Projections(dim, self.direct, scale, name="projections")
        self.read_dropout = Dropout(dropout, name="read_dropout")
        self.gates = None

    def build(self, input_shape):
        self.gates = tf.keras.layers.Dense(len(input_shape) * self.dim, activation="sigmoid", name="gates")
        super().build(input_shape)

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, dim]`, zero where nothing is there."""
        vectors = self.projections(embedded)  # [batch, num_modalities, dim]
        read = self.read_dropout(tf.reshape(vectors, [-1, vectors.shape[1] * self.dim]), training=training)
        gates = tf.reshape(self.gates(read), [-1, *vectors.shape[1:]])  # of all modalities in one product
        return tf.reduce_sum(gates * vectors, axis=1)

    def get_config(self):
        return super().get_config() | {
            "dim": self.dim,
            "direct": list(self.direct),
            "scale": self.scale,
            "dropout": self.dropout,
        }
