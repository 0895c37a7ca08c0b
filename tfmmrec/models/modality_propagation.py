"""MMGCN's propagation: a graph of queries and candidates for each modality (Wei et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors
from tfmmrec.sparse_graph import BipartiteGraph
from tfmmrec.types import Embedded, UsageError

COMBINATIONS = ("sum", "concat")
_SLOPE = 0.01  # of LeakyReLU below zero, as the authors' code has it


class ModalityLayer(tf.keras.layers.Layer):
    """One layer of the propagation, of all modalities: a node's vectors from its own and the mean of its neighbours'.

    With φ = LeakyReLU, for each modality m, all W without bias:

        h_m = φ(W_1m mean_j x_m,j), the aggregation (the paper's equation 1)
        x̂_m = φ(W_2m x_m) + e_id (equation 5)
        x'_m = φ(W_3m h_m + x̂_m) under `sum` (equation 7), φ(W_3m [h_m ; x̂_m]) under `concat` (equation 6)

    Queries and candidates have the same W.

    Args:
        num_modalities: how many.
        dim: size of all vectors.
        combination: sum or concat.

    Raises:
        UsageError: an unknown combination, or a size below 1.
    """

    def __init__(self, num_modalities: int, dim: int, combination: str = "sum", **kwargs):
        super().__init__(**({"dtype": "float32", "autocast": False} | kwargs))
        if combination not in COMBINATIONS:
            raise UsageError(f"combination must be one of {', '.join(COMBINATIONS)}, got {combination!r}")
        if min(num_modalities, dim) < 1:
            raise UsageError(f"num_modalities and dim must be at least 1, got {num_modalities} and {dim}")
        self.num_modalities = num_modalities
        self.dim = dim
        self.combination = combination
        self.of_mean = self._matrices("of_mean", dim)
        self.of_own = self._matrices("of_own", dim)
        self.of_both = self._matrices("of_both", dim if combination == "sum" else 2 * dim)

    def _matrices(self, name: str, size: int) -> tf.Variable:
        """A matrix for each modality, `[num_modalities, size, dim]`."""
        initializer = tf.keras.initializers.RandomNormal(stddev=(2.0 / (size + self.dim)) ** 0.5)  # Glorot, of each
        return self.add_weight(name=name, shape=[self.num_modalities, size, self.dim], initializer=initializer)

    def call(self, mean: tf.Tensor, own: tf.Tensor, identity: tf.Tensor) -> tf.Tensor:
        """Vectors of n nodes.

        Args:
            mean: `[n, num_modalities, dim]`, of the neighbours' vectors.
            own: `[n, num_modalities, dim]`, the nodes'.
            identity: `[n, dim]`, the embeddings of their ids.

        Returns:
            `[n, num_modalities, dim]`.
        """
        gathered = _leaky(_times(mean, self.of_mean))
        own = _leaky(_times(own, self.of_own)) + identity[:, None]
        if self.combination == "sum":
            return _leaky(_times(gathered, self.of_both) + own)
        return _leaky(_times(tf.concat([gathered, own], axis=2), self.of_both))

    def get_config(self):
        return super().get_config() | {
            "num_modalities": self.num_modalities,
            "dim": self.dim,
            "combination": self.combination,
        }


@tf.keras.utils.register_keras_serializable("tfmmrec")
class PropagatedQuery(tf.keras.layers.Layer):
    """A query's vector by the layers of the propagation, which are this layer's weights: Σ_m x_m^(L).

    What a query pools of its candidates is c Σ_i [x_1,i^(0) … x_M,i^(L−1) ; 1], whatever c is: divided by the last
    number it is their mean. A query that has no id, or no history, has zeros there: it is a node without embeddings of
    its own, or without neighbours.

    Args:
        num_modalities: M.
        dim: size of all vectors.
        num_layers: L.
        combination: sum or concat, see `ModalityLayer`.

    Raises:
        UsageError: no layer, and what `ModalityLayer` refuses.
    """

    def __init__(self, num_modalities: int, dim: int, num_layers: int, combination: str = "sum", **kwargs):
        super().__init__(**({"dtype": "float32", "autocast": False} | kwargs))
        if num_layers < 1:
            raise UsageError(f"num_layers must be at least 1, got {num_layers}; without propagation take vbpr")
        self.num_modalities = num_modalities
        self.dim = dim
        self.num_layers = num_layers
        self.combination = combination
        self.layers = [
            ModalityLayer(num_modalities, dim, combination, name=f"layer_{number}") for number in range(num_layers)
        ]

    @property
    def query_dim(self) -> int:
        """Of a query's embedding: that of its id, and what it likes of each modality."""
        return (1 + self.num_modalities) * self.dim

    @property
    def history_dim(self) -> int:
        """Of what a history pools."""
        return self.num_layers * self.num_modalities * self.dim + 1

    def split(self, embeddings: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Embeddings of queries `[n, query_dim]` -> of ids `[n, dim]` and x^(0) `[n, num_modalities, dim]`."""
        identity, preference = tf.split(embeddings, [self.dim, self.num_modalities * self.dim], axis=1)
        return identity, tf.reshape(preference, [-1, self.num_modalities, self.dim])

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """`history` `[batch, history_dim]` and `id` `[batch, query_dim]` -> `[batch, dim]`."""
        history, embeddings = masked_vectors(embedded, "float32")
        sums, count = tf.split(history, [self.history_dim - 1, 1], axis=1)
        means = tf.math.divide_no_nan(sums, count)
        means = tf.reshape(means, [-1, self.num_layers, self.num_modalities, self.dim])
        identity, own = self.split(embeddings)
        identities = _uses(identity, self.num_layers)
        for layer, mean, own_id in zip(self.layers, tf.unstack(means, axis=1), identities, strict=True):
            own = layer(mean, own, own_id)  # [batch, num_modalities, dim]
        return tf.reduce_sum(own, axis=1)

    def get_config(self):
        return super().get_config() | {
            "num_modalities": self.num_modalities,
            "dim": self.dim,
            "num_layers": self.num_layers,
            "combination": self.combination,
        }


class ModalityPropagation(tf.keras.layers.Layer):
    """x_m^(l) of all nodes, for each modality m over the same edges; a candidate's vector is z = Σ_m x_m^(L).

    x_m^(0) is a query's own vector for the modality, and P_m c_m of a candidate with content c_m, zero where it has
    none. A history pools t = [x_1^(0) … x_M^(0) … x_M^(L−1) ; 1] of its candidates, see `PropagatedQuery`.

    Args:
        of_query: has the layers.
    """

    def __init__(self, of_query: PropagatedQuery, **kwargs):
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.of_query = of_query
        self.dim = of_query.dim
        self.projections = [
            tf.keras.layers.Dense(self.dim, use_bias=False, name=f"content_{place}", dtype="float32")
            for place in range(of_query.num_modalities)
        ]

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
            graph: of all modalities.
            queries: `[num_queries, query_dim]`, embeddings.
            candidates: `[num_candidates, dim]`, embeddings of their ids.
            content: name -> `[num_candidates, dim_m]`, zero where absent.
            training: makes no difference.

        Returns:
            z `[num_candidates, dim]` and t `[num_candidates, history_dim]`.
        """
        sizes = [graph.num_queries, graph.num_candidates]
        identity, queries = self.of_query.split(tf.convert_to_tensor(queries))
        identity = tf.concat([identity, tf.convert_to_tensor(candidates)], axis=0)
        modalities = [tf.convert_to_tensor(vectors) for _, vectors in sorted(content.items())]
        projected = [project(vectors) for project, vectors in zip(self.projections, modalities, strict=True)]
        candidates = tf.stack(projected, axis=1)  # [num_candidates, num_modalities, dim], like the queries
        layers, pooled = self.of_query.layers, []
        for layer, own_id in zip(layers, _uses(identity, len(layers)), strict=True):
            kept, seen, candidates = _uses(candidates, 3)
            pooled.append(kept)
            of_candidates = _means(graph.sum_queries, queries, graph.candidate_degrees)
            if len(pooled) == len(layers):  # the last layer's queries are read by nobody
                candidates = layer(of_candidates, candidates, own_id[graph.num_queries :])
            else:
                of_queries = _means(graph.sum_candidates, seen, graph.query_degrees)
                # one call for all nodes: the gradient of a weight is then of two terms, this and the query tower's
                means, own = tf.concat([of_queries, of_candidates], axis=0), tf.concat([queries, candidates], axis=0)
                queries, candidates = tf.split(layer(means, own, own_id), sizes)
        pooled = tf.reshape(tf.stack(pooled, axis=1), [graph.num_candidates, self.of_query.history_dim - 1])
        pooled = tf.concat([pooled, tf.ones([graph.num_candidates, 1])], axis=1)
        return tf.reduce_sum(candidates, axis=1), pooled


def _means(sums: Callable[[tf.Tensor], tf.Tensor], vectors: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Over neighbours, zero without any: `[n, num_modalities, dim]` -> of the other side's m nodes, `[m, …]`."""
    flat = tf.reshape(vectors, [-1, vectors.shape[1] * vectors.shape[2]])
    return tf.reshape(sums(flat) / tf.maximum(degrees, 1.0), [-1, *vectors.shape[1:]])


def _times(vectors: tf.Tensor, matrices: tf.Variable) -> tf.Tensor:
    """`[n, num_modalities, size]` and a matrix for each modality -> `[n, num_modalities, dim]`."""
    return tf.einsum("nms,msd->nmd", vectors, matrices)


def _leaky(vectors: tf.Tensor) -> tf.Tensor:
    return tf.nn.leaky_relu(vectors, _SLOPE)


def _uses(tensor: tf.Tensor, number: int) -> Sequence[tf.Tensor]:
    """A tensor for each of so many uses. Their gradients add up in order: AddN's, of more than two, have none."""

    @tf.custom_gradient
    def copies(tensor):
        return [tf.identity(tensor) for _ in range(number)], lambda *gradients: tf.reduce_sum(
            tf.stack(gradients), axis=0
        )

    return copies(tensor)
