"""Candidates' vectors when a graph has been propagated: looked up, or those of the nearest in content."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.neighbors import in_blocks
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class GraphIdentifier(IdentifierEncoder):
    """An id that says its `row` too, int32 `[batch]`, -1 where unknown; its embeddings are what is propagated."""

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        return super().call(inputs, training) | {"row": inputs["row"]}


@tf.keras.utils.register_keras_serializable("tfmmrec")
class GraphCandidates(tf.keras.layers.Layer):
    """The table of propagated vectors, and content by which a candidate outside the graph finds its neighbours in it.

    The vector of a candidate outside the graph is Σ_j w_j v_j / Σ_j w_j over the `num_neighbors` candidates j of the
    graph whose content is nearest, w_j = max(cos_j, 0), cos_j the mean of the cosines of the modalities that both
    have. Without content, or without neighbours, it is zero.

    The layer takes embedded modalities: `id` of a `GraphIdentifier`, the others are content.

    Args:
        num_known: candidates with a row in the table.
        dim: size of the table's vectors.
        num_neighbors: how many are averaged.

    Attributes:
        table: float32 `[num_known, dim]`, assigned when the graph has been propagated.
        in_graph: float32 `[num_known]`, 1 for a candidate that has an edge.

    Raises:
        UsageError: a size below 1.
    """

    def __init__(self, num_known: int, dim: int, num_neighbors: int = 10, **kwargs):
        super().__init__(**({"dtype": "float32", "autocast": False} | kwargs))  # a table keeps its digits
        if min(num_known, dim, num_neighbors) < 1:
            raise UsageError(
                f"num_known, dim and num_neighbors must be at least 1, got {num_known}, {dim}, {num_neighbors}"
            )
        self.num_known = num_known
        self.dim = dim
        self.num_neighbors = num_neighbors
        self.content: dict[str, tf.Variable] = {}

    def build(self, input_shape):
        self.table = self._kept("table", [self.num_known, self.dim], "zeros")
        self.in_graph = self._kept("in_graph", [self.num_known], "ones")
        for place, name in enumerate(sorted(set(input_shape) - {"id"})):
            # unit vectors, zero where absent
            self.content[name] = self._kept(
                f"content_{place}", [self.num_known, input_shape[name]["vector"][-1]], "zeros"
            )
        super().build(input_shape)

    def _kept(self, name: str, shape: list, initializer: str) -> tf.Variable:
        return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)

    def set_content(self, name: str, vectors: np.ndarray, present: np.ndarray) -> None:
        """Gives a modality of the known candidates, `[num_known, dim_m]` and bool `[num_known]`."""
        self.content[name].assign(_unit(tf.constant(vectors, tf.float32), tf.constant(present)))

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities -> vectors, float32 `[batch, dim]`."""
        rows = tf.maximum(embedded["id"]["row"], 0)
        known = embedded["id"]["present"] & (tf.gather(self.in_graph, rows) > 0.0)  # [batch]
        vectors = tf.where(known[:, None], tf.gather(self.table, rows), 0.0)  # [batch, dim]
        if not self.content:
            return vectors
        others = tf.where(~known)  # [num_others, 1]: the search is among all, so only those who need it
        content = {
            name: _unit(*(tf.gather(embedded[name][key], others[:, 0]) for key in ("vector", "present")))
            for name in self.content
        }
        held = self.num_known * (2 * len(content) + 2)  # cosines, and who has what, of each modality, and their sums
        return tf.tensor_scatter_nd_update(vectors, others, in_blocks(self._of_neighbors, content, held))

    def _of_neighbors(self, content: Mapping[str, tf.Tensor]) -> tf.Tensor:
        total, shared = [], []
        for name, own in sorted(content.items()):
            theirs = self.content[name]  # [num_known, dim_m]
            total.append(tf.matmul(own, theirs, transpose_b=True))
            shared.append(_has(own)[:, None] * _has(theirs)[None, :])  # [batch, num_known]
        cosines = tf.add_n(total) / tf.maximum(tf.add_n(shared), 1.0) * self.in_graph
        weights, rows = tf.math.top_k(cosines, min(self.num_neighbors, self.num_known))  # [batch, num_neighbors]
        weights = tf.maximum(weights, 0.0)
        mean = tf.linalg.matvec(tf.gather(self.table, rows), weights, transpose_a=True)  # [batch, dim]
        return tf.math.divide_no_nan(mean, tf.reduce_sum(weights, axis=1, keepdims=True))

    def get_config(self):
        return super().get_config() | {
            "num_known": self.num_known,
            "dim": self.dim,
            "num_neighbors": self.num_neighbors,
        }


def _unit(vectors: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Unit vectors `[n, dim]` in float32, zero where absent."""
    unit = tf.math.l2_normalize(tf.cast(vectors, tf.float32), axis=-1)
    return tf.where(present[:, None], unit, 0.0)


def _has(unit: tf.Tensor) -> tf.Tensor:
    """1 where there is a vector, `[n, dim]` -> `[n]`."""
    return tf.cast(tf.reduce_any(unit != 0.0, axis=1), tf.float32)
