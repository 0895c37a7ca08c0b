"""LightGCN's propagation of embeddings that content is part of."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.models.light_propagation import LightPropagation
from tfmmrec.randomness import Dropout
from tfmmrec.sparse_graph import BipartiteGraph


class ContentPropagation(LightPropagation):
    """LightGCN's z_i and t_i, with e_i + Σ_m W_m D(x_m) in place of a candidate's embedding e_i.

    D is dropout, in training, the same on every replica, for each of them propagates over the whole catalogue. A
    modality that a candidate lacks adds nothing.

    Args:
        dim: size of the embeddings.
        num_layers: L.
        dropout: share of the numbers of x_m that are set to zero, in [0, 1).

    Raises:
        UsageError: no layer, or a dropout out of range.
    """

    def __init__(self, dim: int, num_layers: int, dropout: float = 0.0, **kwargs):
        super().__init__(dim, num_layers, **kwargs)
        self.dropout = Dropout(dropout, shared=True, name="dropout", dtype="float32")
        self.projections: list[tf.keras.layers.Layer] = []

    def call(
        self,
        graph: BipartiteGraph,
        queries: tf.Tensor,
        candidates: tf.Tensor,
        content: Mapping[str, tf.Tensor],
        training: bool | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The vectors of the graph's candidates.

        Args:
            graph: of interactions.
            queries: `[num_queries, dim]`, embeddings.
            candidates: `[num_candidates, dim]`, embeddings.
            content: name -> float32 `[num_candidates, dim_m]`, zero where absent.
            training: whether content is dropped.

        Returns:
            z and t, `[num_candidates, dim]` each.
        """
        if not self.projections:
            self.projections = [
                tf.keras.layers.Dense(self.dim, use_bias=False, dtype="float32", name=f"projection_{place}")
                for place in range(len(content))
            ]
        candidates = tf.convert_to_tensor(candidates)
        for project, (_, vectors) in zip(self.projections, sorted(content.items()), strict=True):
            candidates += project(self.dropout(tf.convert_to_tensor(vectors), training=training))
        return super().call(graph, queries, candidates)
