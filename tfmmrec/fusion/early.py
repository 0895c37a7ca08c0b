"""Early fusion: one network over all modalities side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors, of_length, presence
from tfmmrec.randomness import Dropout
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class EarlyFusion(tf.keras.layers.Layer):
    """e = MLP([x_1; …; x_M; b]): the vectors, zero where absent, and which of them are present, through an MLP.

    Without hidden layers it is linear: every modality has its own projection, and the sum is the vector. Modalities
    that are vectors of the result's size already, such as an id's embedding, may be added as they are: a projection
    behind an embedding adds nothing but steps. e = Σ_direct x_m + MLP([x_others; b]).

    Args:
        dim: size of the result.
        hidden_dims: sizes of the hidden layers, each with ReLU and dropout.
        direct: modalities that are added as they are; those that a batch does not have are passed over.
        scale: the other modalities are brought to this length before the network; None leaves them as they are. Under
            Adam a shared projection of dense inputs moves every vector by far more in a step than a row of a table
            moves; short inputs even that out.
        activation: of the result, such as "tanh"; none by default.
        dropout: in the hidden layers, in [0, 1).

    Raises:
        UsageError: a size below 1, a dropout outside [0, 1), or a direct modality of another size than `dim`.
    """

    def __init__(
        self,
        dim: int,
        hidden_dims: Sequence[int] = (),
        direct: Sequence[str] = (),
        scale: float | None = None,
        activation: str | None = None,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if min([dim, *hidden_dims]) < 1:
            raise UsageError(f"fusion sizes must be at least 1, got dim={dim}, hidden_dims={tuple(hidden_dims)}")
        if not 0.0 <= dropout < 1.0:
            raise UsageError(f"dropout must lie in [0, 1), got {dropout}")
        self.dim = dim
        self.hidden_dims = tuple(hidden_dims)
        self.direct = tuple(direct)
        self.scale = scale
        self.activation = activation
        self.dropout = dropout
        self.hidden = [
            tf.keras.layers.Dense(size, activation="relu", name=f"hidden_{i}")
            for i, size in enumerate(self.hidden_dims)
        ]
        self.dropouts = [Dropout(dropout, name=f"dropout_{i}") for i in range(len(self.hidden_dims))]
        self.output_layer = tf.keras.layers.Dense(dim, name="output")

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, dim]`."""
        names, vectors = sorted(embedded), masked_vectors(embedded, self.compute_dtype)
        added = [vector for name, vector in zip(names, vectors, strict=True) if name in self.direct]
        others = [vector for name, vector in zip(names, vectors, strict=True) if name not in self.direct]
        for vector in added:
            if vector.shape[-1] != self.dim:
                raise UsageError(
                    f"a direct modality must have the result's size {self.dim}, got {vector.shape[-1]}; take it out of "
                    f"direct={self.direct}"
                )
        if self.scale is not None:
            others = [of_length(vector, self.scale) for vector in others]
        x = tf.concat([*others, presence(embedded, self.compute_dtype)], axis=1)  # [batch, sizes + num_modalities]
        for layer, dropout in zip(self.hidden, self.dropouts, strict=True):
            x = dropout(layer(x), training=training)
        return tf.keras.activations.get(self.activation)(tf.add_n([*added, self.output_layer(x)]))

    def get_config(self):
        return super().get_config() | {
            "dim": self.dim,
            "hidden_dims": list(self.hidden_dims),
            "direct": list(self.direct),
            "scale": self.scale,
            "activation": self.activation,
            "dropout": self.dropout,
        }
