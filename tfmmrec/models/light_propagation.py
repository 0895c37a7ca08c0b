"""LightGCN's propagation, on which other graph models stand too."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.sparse_graph import BipartiteGraph, inverse_root
from tfmmrec.types import UsageError


class LightPropagation(tf.keras.layers.Layer):
    """e_u^(l) = Σ_{i ∈ N_u} e_i^(l−1) / √(|N_u| |N_i|), e_i^(l) likewise; no weights (He et al. 2020).

    z_i = Σ_l e_i^(l) / (L + 1), l = 0 … L. A query's vector is the same mean. Its layers from 1 on are one sum over its
    candidates, Σ_{l ≥ 1} e_u^(l) / (L + 1) = Σ_{i ∈ N_u} t_i / √|N_u| with t_i = Σ_{l < L} e_i^(l) / ((L + 1) √|N_i|).

    Args:
        dim: size of the embeddings.
        num_layers: L.

    Raises:
        UsageError: no layer.
    """

    def __init__(self, dim: int, num_layers: int, **kwargs):
        super().__init__(dtype="float32", autocast=False, **kwargs)
        if num_layers < 1:
            raise UsageError(f"num_layers must be at least 1, got {num_layers}; without propagation take id_only")
        self.dim = dim
        self.num_layers = num_layers

    def call(
        self,
        graph: BipartiteGraph,
        queries: tf.Tensor,
        candidates: tf.Tensor,
        content: Mapping[str, tf.Tensor] | None = None,
        training: bool | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Embeddings `[num_queries, dim]` and `[num_candidates, dim]` -> z and t, `[num_candidates, dim]` each.

        The candidates' content makes no difference.
        """
        of_queries, of_candidates = inverse_root(graph.query_degrees), inverse_root(graph.candidate_degrees)
        queries, candidates = tf.convert_to_tensor(queries), tf.convert_to_tensor(candidates)
        total, all_but_last = candidates, candidates
        for layer in range(self.num_layers):
            above = graph.sum_queries(queries * of_queries) * of_candidates
            if layer + 1 < self.num_layers:  # the last layer's queries are read by nobody
                queries = graph.sum_candidates(candidates * of_candidates) * of_queries
            candidates = above
            # two terms at a time: of more, forward or backward, AddN begins with whichever is free to be overwritten
            all_but_last, total = total, total + candidates
        share = 1.0 / (self.num_layers + 1)
        return share * total, share * of_candidates * all_but_last
