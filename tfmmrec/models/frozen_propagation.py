"""FREEDOM's propagation: along interactions, and along a frozen graph of candidates (Zhou & Shen 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.memory import check_memory
from tfmmrec.models.light_propagation import LightPropagation
from tfmmrec.neighbors import nearest, neighbor_sums, normalized
from tfmmrec.sparse_graph import BipartiteGraph
from tfmmrec.types import UsageError

_BYTES = 80  # a neighbour: as it is kept, and the matrices that a step makes of it, forward and backward


class FrozenPropagation(LightPropagation):
    """LightGCN's z_i and t_i, and to z_i is added what the frozen graph of candidates brings: h = S^C e.

    S = Σ_m α_m D_m^(-1/2) S_m D_m^(-1/2). S_m has a 1 for each of a candidate's nearest by the cosine of modality m,
    itself among them, D_m has the sums of its rows. The α_m add up to one over the modalities that a candidate has.

    Args:
        dim: size of the embeddings.
        num_layers: along interactions.
        num_content_layers: C, along the frozen graph.

    Raises:
        UsageError: no layer.
    """

    def __init__(self, dim: int, num_layers: int, num_content_layers: int = 1, **kwargs):
        super().__init__(dim, num_layers, **kwargs)
        if num_content_layers < 1:
            raise UsageError(f"num_content_layers must be at least 1, got {num_content_layers}; without take lightgcn")
        self.num_content_layers = num_content_layers
        self.frozen: tuple[tf.Tensor, tf.Tensor] | None = None

    def freeze(self, content: Mapping[str, tf.Tensor], num_neighbors: int, weights: Mapping[str, float]) -> None:
        """Makes the graph.

        Args:
            content: name -> float32 `[num_candidates, dim_m]`, zero where absent.
            num_neighbors: of a candidate, in each modality.
            weights: name -> α_m, before those of a candidate are made to add up to one.

        Raises:
            UsageError: too little memory.
        """
        need = _BYTES * num_neighbors * sum(vectors.shape[0] for vectors in content.values())
        check_memory("the graph of candidates by content", need, None, "take fewer num_graph_neighbors, or lightgcn")
        neighbors, shares, total = [], [], 0.0
        for name, vectors in sorted(content.items()):
            found = nearest(vectors, num_neighbors)
            share = weights[name] * tf.cast(found[:, :1] >= 0, tf.float32)  # [num_candidates, 1], 0 where absent
            neighbors.append(found)
            shares.append(share * normalized(found, tf.ones(found.shape)))
            total += share
        weights = tf.math.divide_no_nan(tf.concat(shares, axis=1), total)
        self.frozen = tf.concat(neighbors, axis=1), weights  # [num_candidates, num_modalities · num_neighbors]

    def call(
        self,
        graph: BipartiteGraph,
        queries: tf.Tensor,
        candidates: tf.Tensor,
        content: Mapping[str, tf.Tensor] | None = None,
        training: bool | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Embeddings `[num_queries, dim]` and `[num_candidates, dim]` -> z and t, `[num_candidates, dim]` each."""
        candidates = tf.convert_to_tensor(candidates)
        # an identity has the gradients of its own uses: sums of two terms have an order
        found, pooled = super().call(graph, queries, tf.identity(candidates))
        if self.frozen is not None:
            for _ in range(self.num_content_layers):
                candidates = neighbor_sums(*self.frozen, candidates)
            found += candidates
        return found, pooled
