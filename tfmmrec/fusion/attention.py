"""Attention fusion: which modality matters for this candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.embedded import presence
from tfmmrec.fusion.projections import Projections
from tfmmrec.randomness import Dropout
from tfmmrec.types import Embedded, UsageError

INITIAL_LENGTH = 0.1  # of v: scores start near 0 whatever the vectors' lengths, so that the weights start near uniform
LOWEST = -1e9  # a score of what is absent: finite, so that no gradient becomes NaN


@tf.keras.utils.register_keras_serializable("tfmmrec")
class AttentionFusion(tf.keras.layers.Layer):
    """e = Σ_m α_m x_m, α = softmax over the present modalities of vᵀ tanh(W x_m + c_m): additive attention
    (Bahdanau et al. 2015) over modalities, an id among them.

    x_m is a modality's vector as it is added (`Projections`). W and v are shared, so that modalities are compared by
    one measure; the bias is each modality's own. Where the vectors of content are short beside an id's (`scale`), W x_m
    is near 0 for all of them and a shared bias would give them one score: c_m says what a modality counts for in
    general, W x_m what it counts for in this candidate.

    Args:
        dim: size of the result.
        hidden_dim: size of W x_m; None for `dim`.
        direct: modalities that are taken as they are, see `Projections`.
        scale: length of the others before their projection, see `Projections`.
        dropout: in tanh(W x_m + c_m), in [0, 1).

    Raises:
        UsageError: a size below 1, a dropout outside [0, 1), or a direct modality of another size than `dim`.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int | None = None,
        direct: Sequence[str] = (),
        scale: float | None = None,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if hidden_dim is not None and hidden_dim < 1:
            raise UsageError(f"attention's hidden_dim must be at least 1, or None for dim={dim}, got {hidden_dim}")
        self.dim = dim
        self.hidden_dim = hidden_dim
        self.direct = tuple(direct)
        self.scale = scale
        self.dropout = dropout
        self.projections = Projections(dim, self.direct, scale, name="projections")
        self.hidden = tf.keras.layers.Dense(hidden_dim or dim, use_bias=False, name="hidden")  # W
        self.hidden_dropout = Dropout(dropout, dtype="float32", name="hidden_dropout")
        self.biases = None  # c
        self.score = None  # v

    def build(self, input_shape):
        size = self.hidden.units
        options = {"experimental_autocast": False}  # scores and softmax are in full precision
        self.biases = self.add_weight(name="biases", shape=[len(input_shape), size], initializer="zeros", **options)
        start = tf.keras.initializers.RandomNormal(stddev=INITIAL_LENGTH * size**-0.5)
        self.score = self.add_weight(name="score", shape=[size], initializer=start, **options)
        super().build(input_shape)

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, dim]`, zero where nothing is there."""
        vectors = self.projections(embedded)  # [batch, num_modalities, dim]
        weights = self._weights(vectors, presence(embedded, tf.float32), training)
        return tf.linalg.matvec(vectors, tf.cast(weights, vectors.dtype), transpose_a=True)

    def weights_of(self, embedded: Mapping[str, Embedded]) -> tf.Tensor:
        """α float32 `[batch, num_modalities]`, in the order of the modalities' names: what each counts for.

        Rows sum to 1. What is absent has 0; where nothing is there, everything has.
        """
        if not self.built:
            self(embedded)  # creates the weights
        return self._weights(self.projections(embedded), presence(embedded, tf.float32))

    def _weights(self, vectors: tf.Tensor, present: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        hidden = tf.tanh(tf.cast(self.hidden(vectors), tf.float32) + self.biases)  # [batch, num_modalities, hidden]
        hidden = self.hidden_dropout(hidden, training=training)
        scores = tf.tensordot(hidden, self.score, axes=1)  # [batch, num_modalities], by one product
        scores = tf.where(present > 0, scores, LOWEST)
        return tf.nn.softmax(scores) * present  # the product is for rows in which nothing is there

    def get_config(self):
        return super().get_config() | {
            "dim": self.dim,
            "hidden_dim": self.hidden_dim,
            "direct": list(self.direct),
            "scale": self.scale,
            "dropout": self.dropout,
        }
