"""Graph fusion: each modality propagated over a graph of candidates that are alike in it, then fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.fusion.attention import AttentionFusion
from tfmmrec.fusion.content_graph import ContentGraph
from tfmmrec.fusion.early import EarlyFusion
from tfmmrec.fusion.embedded import masked_vectors, of_length
from tfmmrec.fusion.sum import SumFusion
from tfmmrec.types import Embedded, UsageError

AGGREGATIONS = ("sum", "concat", "attention")


@tf.keras.utils.register_keras_serializable("tfmmrec")
class GraphFusion(tf.keras.layers.Layer):
    """h_m = σ(W_m x̃_m), x̃_m the modality's vectors propagated over a graph of its own, and the h_m aggregated.

    One layer of Kipf & Welling's graph convolution (2017) for each modality, over the candidates nearest in it, see
    `ContentGraph`. A modality without a graph is alone, x̃ = x, as one is whose vectors are still learned: neighbours'
    vectors are kept, and would be of yesterday. `aggregation` is

        sum: e = Σ_m h_m
        concat: e = W [h_1; …; h_M; b] + c, `EarlyFusion`
        attention: e = Σ_m α_m h_m, `AttentionFusion`

    with h_m zero where the modality is absent, and direct modalities as they are in place of h_m (under concat added).

    The graphs' candidates are given by `set_content`; until then every candidate is alone. Where a direct modality says
    its `row`, candidates that are in the graphs are looked up there; where none does, the whole of them in their order.

    Args:
        dim: size of the result.
        aggregation: sum, concat or attention.
        graphs: modalities that have a graph.
        num_reference: candidates in the graphs.
        num_neighbors: edges of a candidate, beside the one to itself.
        direct: modalities that are vectors of the result's size already, such as an id's embedding.
        scale: length of x, see `EarlyFusion`; 1 when None.
        activation: σ.

    Raises:
        UsageError: an unknown aggregation, a size below 1, or a direct modality of another size than `dim`.
    """

    def __init__(
        self,
        dim: int,
        aggregation: str = "sum",
        graphs: Sequence[str] = (),
        num_reference: int = 1,
        num_neighbors: int = 10,
        direct: Sequence[str] = (),
        scale: float | None = None,
        activation: str = "relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if aggregation not in AGGREGATIONS:
            raise UsageError(f"aggregation must be one of {', '.join(AGGREGATIONS)}, got {aggregation!r}")
        if dim < 1:
            raise UsageError(f"a fusion's dim must be at least 1, got {dim}")
        self.dim = dim
        self.aggregation = aggregation
        self.num_neighbors = num_neighbors
        self.direct = tuple(direct)
        self.scale = scale
        self.activation = activation
        self.kernels: dict[str, tf.keras.layers.Dense] = {}  # W
        self.content_graphs: dict[str, ContentGraph] = {}
        self.aggregate: tf.keras.layers.Layer | None = None
        self.graphs: tuple[str, ...] = ()
        self.num_reference = 1
        self.set_graphs(graphs, num_reference)

    def set_graphs(self, graphs: Sequence[str], num_reference: int) -> None:
        """Says which modalities have a graph, and of how many candidates; before there are weights.

        Raises:
            UsageError: there are.
        """
        if self.built:
            raise UsageError("a graph fusion has its weights already; say of what it has graphs before its first call")
        self.graphs, self.num_reference = tuple(sorted(graphs)), num_reference

    def build(self, input_shape):
        says_rows = any("row" in input_shape[name] for name in self.direct if name in input_shape)
        for place, name in enumerate(sorted(input_shape)):
            size = input_shape[name]["vector"][-1]
            if name in self.direct:
                if size != self.dim:
                    raise UsageError(
                        f"a direct modality must have the result's size {self.dim}, but {name} has {size}; take it "
                        f"out of direct={self.direct}"
                    )
                continue
            self.kernels[name] = tf.keras.layers.Dense(
                self.dim, self.activation, use_bias=False, name=f"projection_{place}"
            )
            if name in self.graphs:
                graph = ContentGraph(self.num_reference, self.num_neighbors, not says_rows, name=f"graph_{place}")
                graph.build(tf.TensorShape([None, size]))
                self.content_graphs[name] = graph
        if self.aggregation == "sum":
            self.aggregate = SumFusion(name="aggregate")
        elif self.aggregation == "concat":
            self.aggregate = EarlyFusion(self.dim, direct=self.direct, name="aggregate")
        else:
            self.aggregate = AttentionFusion(self.dim, direct=sorted(input_shape), name="aggregate")
        super().build(input_shape)

    def set_content(self, name: str, vectors: np.ndarray, present: np.ndarray) -> None:
        """Gives a modality of the graphs' candidates, `[num_reference, dim_m]` and bool `[num_reference]`."""
        vectors = tf.where(np.asarray(present)[:, None], tf.constant(vectors, tf.float32), 0.0)
        self.content_graphs[name].set_reference(of_length(vectors, 1.0))

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes -> `[batch, dim]`."""
        rows = next((embedded[name]["row"] for name in self.direct if "row" in embedded.get(name, {})), None)
        parts = {}
        for name, vector in zip(sorted(embedded), masked_vectors(embedded, "float32"), strict=True):
            if name in self.kernels:
                vector = of_length(vector, 1.0)
                if name in self.content_graphs:
                    vector = self.content_graphs[name](vector, rows=rows)
                vector = self.kernels[name](vector * (self.scale or 1.0))  # [batch, dim]
            parts[name] = {"vector": vector, "present": embedded[name]["present"]}
        return self.aggregate(parts, training=training)

    def get_config(self):
        return super().get_config() | {
            "dim": self.dim,
            "aggregation": self.aggregation,
            "graphs": list(self.graphs),
            "num_reference": self.num_reference,
            "num_neighbors": self.num_neighbors,
            "direct": list(self.direct),
            "scale": self.scale,
            "activation": self.activation,
        }
