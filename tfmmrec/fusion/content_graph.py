"""A graph of candidates by one modality's content, and a propagation over it that new candidates take part in."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.neighbors import nearest_cosines, neighbor_sums, normalized
from tfmmrec.types import UsageError

_SAME = 0.999  # the cosine of a candidate's content and what is kept of it, from which on they are the same


class ContentGraph(tf.keras.layers.Layer):
    """x̃_i = Σ_j a_ij x_j / √(d_i d_j), d_i = Σ_j a_ij: D^(-½) Ã D^(-½) X of Kipf & Welling 2017 over the k nearest.

    a_ii = 1, and a_ij = max(⟨x_i, x_j⟩, 0) where j is among the `num_neighbors` of the reference set that are nearest
    to i; x are unit vectors. The reference set is kept in weights that are not trained, with its x̃ and d. Whoever is
    not in it has edges to it all the same, as if it had come last; before there is one, everybody is alone: x̃ = x.

    Args:
        num_reference: rows of the reference set.
        num_neighbors: k.

    Raises:
        UsageError: a number below 1.
    """

    def __init__(self, num_reference: int, num_neighbors: int = 10, **kwargs):
        super().__init__(**({"dtype": "float32", "autocast": False} | kwargs))
        if min(num_reference, num_neighbors) < 1:
            raise UsageError(
                f"num_reference and num_neighbors must be at least 1, got {num_reference} and {num_neighbors}"
            )
        self.num_reference = num_reference
        self.num_neighbors = num_neighbors

    def build(self, input_shape):
        shape = [self.num_reference, input_shape[-1]]
        self.reference = self.add_weight(name="reference", shape=shape, initializer="zeros", trainable=False)
        self.propagated = self.add_weight(name="propagated", shape=shape, initializer="zeros", trainable=False)
        self.degrees = self.add_weight(name="degrees", shape=shape[:1], initializer="ones", trainable=False)
        super().build(input_shape)

    def set_reference(self, vectors: tf.Tensor) -> None:
        """Keeps the reference set, unit vectors `[num_reference, dim]`, zero where absent, and propagates over it."""
        vectors = tf.convert_to_tensor(vectors, tf.float32)
        neighbors, cosines = nearest_cosines(vectors, self.num_neighbors + 1)  # itself, or its very like, among them
        weights = tf.maximum(cosines, 0.0)
        self.reference.assign(vectors)
        self.propagated.assign(neighbor_sums(neighbors, normalized(neighbors, weights), vectors))
        self.degrees.assign(tf.maximum(tf.reduce_sum(weights, axis=1), 1.0))

    def call(self, vectors: tf.Tensor, rows: tf.Tensor | None = None) -> tf.Tensor:
        """x̃ `[batch, dim]`, zero where x is.

        Args:
            vectors: x, float32 `[batch, dim]`, unit vectors, zero where absent.
            rows: int32 `[batch]`, places in the reference set, -1 for none. A row whose x is what is kept there is
                looked up. All others have their neighbours looked for, which takes num_reference · dim products each.
        """
        if rows is None:
            return self._of_nearest(vectors)
        places = tf.maximum(rows, 0)
        cosines = tf.reduce_sum(vectors * tf.gather(self.reference, places), axis=1)  # [batch]
        kept = (rows >= 0) & (cosines > _SAME)
        found = tf.where(kept[:, None], tf.gather(self.propagated, places), 0.0)  # [batch, dim]
        others = tf.where(~kept & tf.reduce_any(vectors != 0.0, axis=1))  # [num_others, 1]
        return tf.tensor_scatter_nd_update(found, others, self._of_nearest(tf.gather(vectors, others[:, 0])))

    def _of_nearest(self, vectors: tf.Tensor) -> tf.Tensor:
        cosines = tf.matmul(vectors, self.reference, transpose_b=True)  # [batch, num_reference]
        weights, places = tf.math.top_k(cosines, min(self.num_neighbors, self.num_reference))
        weights = tf.maximum(weights, 0.0)  # [batch, k]
        own = 1.0 + tf.reduce_sum(weights, axis=1, keepdims=True)  # [batch, 1]
        weights *= tf.math.rsqrt(own * tf.gather(self.degrees, places))
        return vectors / own + tf.linalg.matvec(tf.gather(self.reference, places), weights, transpose_a=True)

    def get_config(self):
        return super().get_config() | {"num_reference": self.num_reference, "num_neighbors": self.num_neighbors}
