"""LATTICE's propagation: along interactions, and along a learned graph of candidates (Zhang et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.memory import check_memory
from tfmmrec.models.light_propagation import LightPropagation
from tfmmrec.neighbors import nearest, nearest_cosines, neighbor_dots, neighbor_sums, normalized
from tfmmrec.sparse_graph import BipartiteGraph
from tfmmrec.types import UsageError


class LatentPropagation(LightPropagation):
    """LightGCN's z_i and t_i, and to z_i is added what the latent graph brings: h_i/‖h_i‖ with h = A^C e.

        A = Σ_m α_m (λ S_m + (1 − λ) A_m), α = softmax of M learned numbers
        A_m = D^(-1/2) Ŝ D^(-1/2), Ŝ the positive cosines of x̃ = W_m x + b_m, of each row its nearest

    S_m is the same of the content x itself, frozen. Who is nearest by x̃ is looked up in `refresh`, and no gradient
    knows of it; the cosines are those of the present weights, with their gradient, in every step.

    Args:
        dim: size of the embeddings.
        num_layers: along interactions.
        num_content_layers: C, along the latent graph.
        num_neighbors: of a candidate in each graph, itself among them.
        frozen_weight: λ.
        projection_dim: size of x̃.

    Raises:
        UsageError: a number out of range.
    """

    def __init__(
        self,
        dim: int,
        num_layers: int,
        num_content_layers: int = 1,
        num_neighbors: int = 10,
        frozen_weight: float = 0.9,
        projection_dim: int = 64,
        **kwargs,
    ):
        super().__init__(dim, num_layers, **kwargs)
        if min(num_content_layers, num_neighbors, projection_dim) < 1:
            raise UsageError(
                f"num_content_layers, num_graph_neighbors and projection_dim must be at least 1, got "
                f"{num_content_layers}, {num_neighbors} and {projection_dim}"
            )
        if not 0.0 <= frozen_weight < 1.0:
            raise UsageError(
                f"frozen_weight must lie in [0, 1), got {frozen_weight}; with 1 nothing is learned: freedom"
            )
        self.num_content_layers = num_content_layers
        self.num_neighbors = num_neighbors
        self.frozen_weight = frozen_weight
        self.projection_dim = projection_dim
        self.projections: dict[str, tf.keras.layers.Layer] = {}
        self.frozen: dict[str, tuple[tf.Tensor, tf.Tensor]] = {}

    def create_weights(self, content: Mapping[str, tf.Tensor]) -> None:
        """Makes the weights for some content; until `freeze` there are no neighbours."""
        for place, (name, vectors) in enumerate(sorted(content.items())):
            project = tf.keras.layers.Dense(self.projection_dim, dtype="float32", name=f"projection_{place}")
            project.build(vectors.shape)
            self.projections[name] = project
        self.modality_logits = self.add_weight(name="modality_logits", shape=[len(content)], initializer="zeros")
        size = next(iter(content.values())).shape[0]
        self.neighbors = self.add_weight(  # what it holds is looked up anew, but a resumed training goes on with it
            name="neighbors",
            shape=[len(content), size, min(self.num_neighbors, size)],
            dtype=tf.int64,
            initializer=tf.constant_initializer(-1),
            trainable=False,
        )

    def freeze(self, content: Mapping[str, tf.Tensor]) -> None:
        """Makes the frozen graphs, and looks up the neighbours of the others.

        Args:
            content: name -> float32 `[num_candidates, dim_m]`, zero where absent.

        Raises:
            UsageError: too little memory.
        """
        edges = 2 * self.num_neighbors * sum(vectors.shape[0] for vectors in content.values())
        # as they are kept, as a step's matrices, and the vectors at both ends, of which the cosines' gradients are made
        need = edges * (80 + 8 * max(self.dim, self.projection_dim))
        check_memory("the latent graph of candidates", need, None, "take fewer num_graph_neighbors, or freedom")
        for name, vectors in content.items():
            found, cosines = nearest_cosines(vectors, self.num_neighbors)
            self.frozen[name] = found, normalized(found, tf.nn.relu(cosines))
        self.refresh(content)

    def refresh(self, content: Mapping[str, tf.Tensor]) -> None:
        """Looks up who is nearest by the present weights."""
        found = [nearest(self._project(name, vectors), self.num_neighbors) for name, vectors in sorted(content.items())]
        self.neighbors.assign(tf.stack(found))

    def latent_graph(self, content: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Neighbours int64 and weights float32 of A, `[num_candidates, 2 · num_modalities · num_neighbors]` each."""
        neighbors, weights = [], []
        shares = tf.unstack(tf.nn.softmax(self.modality_logits))
        learned = tf.unstack(tf.convert_to_tensor(self.neighbors))
        for (name, vectors), share, found in zip(sorted(content.items()), shares, learned, strict=True):
            frozen, of_frozen = self.frozen[name]
            of_learned = _graph(found, _unit(self._project(name, vectors)))
            neighbors += [frozen, found]
            both = [self.frozen_weight * of_frozen, (1.0 - self.frozen_weight) * of_learned]
            weights.append(share * tf.concat(both, axis=1))
        return tf.concat(neighbors, axis=1), tf.concat(weights, axis=1)

    def _project(self, name: str, vectors: tf.Tensor) -> tf.Tensor:
        """x̃, zero where absent, `[num_candidates, projection_dim]`."""
        vectors = tf.convert_to_tensor(vectors)
        return tf.where(tf.reduce_any(vectors != 0.0, axis=1)[:, None], self.projections[name](vectors), 0.0)

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
            training: makes no difference.

        Returns:
            z and t, `[num_candidates, dim]` each.
        """
        if not self.projections:
            self.create_weights(content)
        candidates = tf.convert_to_tensor(candidates)
        # an identity has the gradients of its own uses: sums of two terms have an order
        found, pooled = super().call(graph, queries, tf.identity(candidates))
        if self.frozen:
            neighbors, weights = self.latent_graph(content)
            for _ in range(self.num_content_layers):
                weights = tf.identity(weights)
                candidates = neighbor_sums(neighbors, tf.identity(weights), candidates)
            found += _unit(candidates)
        return found, pooled


def _graph(neighbors: tf.Tensor, unit: tf.Tensor) -> tf.Tensor:
    """D^(-1/2) Ŝ D^(-1/2) of unit vectors, float32 `[n, num_neighbors]`."""
    cosines = neighbor_dots(neighbors, tf.identity(unit), tf.identity(unit))
    return normalized(neighbors, tf.nn.relu(cosines))


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    """Of unit length; zero stays zero and gets no gradient, which would be boundless."""
    square = tf.reduce_sum(tf.square(vectors), axis=1, keepdims=True)
    is_zero = square < 1e-24
    return tf.where(is_zero, 0.0, vectors * tf.math.rsqrt(tf.where(is_zero, 1.0, square)))
