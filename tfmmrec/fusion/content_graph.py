"""A graph of candidates by one modality's content, and a propagation over it that new candidates take part in."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.neighbors import in_blocks, nearest_cosines, neighbor_sums, normalized
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
        in_order: calls say no `rows`. Then all are as if they were not in the set, those who are too, whose x̃ is kept:
            as many as are in the set are taken for them, in their order, where their x is what is kept there.

    Raises:
        UsageError: a number below 1.
    """

    def __init__(self, num_reference: int, num_neighbors: int = 10, in_order: bool = False, **kwargs):
        super().__init__(**({"dtype": "float32", "autocast": False} | kwargs))
        if min(num_reference, num_neighbors) < 1:
            raise UsageError(
                f"num_reference and num_neighbors must be at least 1, got {num_reference} and {num_neighbors}"
            )
        self.num_reference = num_reference
        self.num_neighbors = num_neighbors
        self.in_order = in_order

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
        self.degrees.assign(tf.maximum(tf.reduce_sum(weights, axis=1), 1.0))
        if self.in_order:
            neighbors = neighbors[:, : self.num_neighbors]
            weights, own = self._as_last(tf.maximum(neighbors, 0), weights[:, : self.num_neighbors])
            self.propagated.assign(vectors / own + neighbor_sums(neighbors, weights, vectors))
        else:
            self.propagated.assign(neighbor_sums(neighbors, normalized(neighbors, weights), vectors))

    def call(self, vectors: tf.Tensor, rows: tf.Tensor | None = None) -> tf.Tensor:
        """x̃ `[batch, dim]`, zero where x is.

        Args:
            vectors: x, float32 `[batch, dim]`, unit vectors, zero where absent.
            rows: int32 `[batch]`, places in the reference set, -1 for none. A row whose x is what is kept there is
                looked up. All others have their neighbours looked for, which takes num_reference · dim products each.
        """
        if rows is None:
            size = tf.shape(vectors)[0]
            rows = tf.where((size == self.num_reference) & self.in_order, tf.range(size), -1)
        places = tf.maximum(rows, 0)
        cosines = tf.reduce_sum(vectors * tf.gather(self.reference, places), axis=1)  # [batch]
        kept = (rows >= 0) & (cosines > _SAME)
        found = tf.where(kept[:, None], tf.gather(self.propagated, places), 0.0)  # [batch, dim]
        others = tf.where(~kept & tf.reduce_any(vectors != 0.0, axis=1))  # [num_others, 1]
        new = in_blocks(self._of_nearest, tf.gather(vectors, others[:, 0]), self.num_reference)
        return tf.tensor_scatter_nd_update(found, others, new)

    def _of_nearest(self, vectors: tf.Tensor) -> tf.Tensor:
        cosines = tf.matmul(vectors, self.reference, transpose_b=True)  # [batch, num_reference]
        weights, places = tf.math.top_k(cosines, min(self.num_neighbors, self.num_reference))
        weights, own = self._as_last(places, tf.maximum(weights, 0.0))
        return vectors / own + tf.linalg.matvec(tf.gather(self.reference, places), weights, transpose_a=True)

    def _as_last(self, places: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Edges to the reference set, a `[n, k]` -> a / √(d_i d_j) `[n, k]`, and d_i `[n, 1]`."""
        own = 1.0 + tf.reduce_sum(weights, axis=1, keepdims=True)
        return weights * tf.math.rsqrt(own * tf.gather(self.degrees, places)), own

    def get_config(self):
        return super().get_config() | {
            "num_reference": self.num_reference,
            "num_neighbors": self.num_neighbors,
            "in_order": self.in_order,
        }
