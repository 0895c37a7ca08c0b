"""Hybrid fusion: late fusion with the early-fused vector as one more block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.early import EarlyFusion
from tfmmrec.fusion.late import LateFusion
from tfmmrec.types import Embedded

FUSED = "~fused"  # sorts behind every name of a feature


@tf.keras.utils.register_keras_serializable("tfmmrec")
class HybridFusion(tf.keras.layers.Layer):
    """Modality-level and fused representations both reach the score: `LateFusion` over the modalities and their
    `EarlyFusion`, which is the last block and present where any modality is.

    Args:
        dim: size of each block; the result has `(num_modalities + 1) * dim`.
        hidden_dims: hidden layers of the early fusion.
        dropout: in them.
    """

    stands_last = True

    def __init__(self, dim: int, hidden_dims: Sequence[int] = (), dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.hidden_dims = tuple(hidden_dims)
        self.dropout = dropout
        self.early = EarlyFusion(dim=dim, hidden_dims=self.hidden_dims, dropout=dropout, name="early")
        self.late = LateFusion(dim=dim, name="late")

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, (num_modalities + 1) * dim]`, float32."""
        present = tf.reduce_any(tf.stack([part["present"] for part in embedded.values()], axis=1), axis=1)
        fused = {"vector": self.early(embedded, training=training), "present": present}
        parts = {name: {"vector": part["vector"], "present": part["present"]} for name, part in embedded.items()}
        return self.late(parts | {FUSED: fused}, training=training)

    def get_config(self):
        return super().get_config() | {
            "dim": self.dim,
            "hidden_dims": list(self.hidden_dims),
            "dropout": self.dropout,
        }
