"""FREEDOM: a frozen graph of candidates by content beside a denoised graph of interactions (Zhou & Shen 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.data.interactions import Interactions
from tfmmrec.data.statistics import Statistics
from tfmmrec.models.frozen_propagation import FrozenPropagation
from tfmmrec.models.graph_model import GraphModel
from tfmmrec.models.graph_towers import A_CONTENT, SET_BY_MODELS, choose_scale, graph_towers
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.randomness import RandomDraws
from tfmmrec.schema import Schema
from tfmmrec.sparse_graph import BipartiteGraph
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError


class FreedomModel(GraphModel):
    """A graph model that leaves edges out in training, and has projected content compared with queries as well.

    A step leaves out int(edge_dropout · edges) of the edges. The others are drawn without replacement, the chance of an
    edge in proportion to 1/√(|N_u| |N_i|), and normalised by the degrees that they make. Tables are made of all edges.
    A row of a batch loses

        ℓ(q_u, z) + content_weight · Σ_m ℓ(q_u, W_m x_m + b_m)

    with ℓ the model's loss, which compares a modality with the candidates that have it only.

    Args:
        query_tower: as of `GraphModel`.
        candidate_tower: as of `GraphModel`.
        propagation: has the frozen graph.
        edge_dropout: share of the edges left out in a step, in [0, 1).
        content_weight: of the losses of content.
        num_graph_neighbors: of a candidate in the frozen graph, in each modality.
        modality_weights: name -> α_m.
        kwargs: as of `GraphModel`.

    Raises:
        UsageError: a number out of range, or weights that are not the content's.
    """

    def __init__(
        self,
        query_tower: Tower,
        candidate_tower: Tower,
        propagation: FrozenPropagation,
        *,
        edge_dropout: float,
        content_weight: float,
        num_graph_neighbors: int,
        modality_weights: Mapping[str, float] | None = None,
        **kwargs,
    ):
        super().__init__(query_tower, candidate_tower, propagation, **kwargs)
        names = sorted(set(candidate_tower.encoders) - {"id"})
        weights = dict.fromkeys(names, 1.0) if modality_weights is None else dict(modality_weights)
        if not names:
            raise UsageError(
                f"freedom needs candidates with {A_CONTENT}, this dataset has none; describe one in its "
                "config, or take lightgcn, which learns of ids alone"
            )
        if not 0.0 <= edge_dropout < 1.0 or not content_weight >= 0.0 or num_graph_neighbors < 1:
            raise UsageError(
                f"edge_dropout must lie in [0, 1), content_weight must be 0 or more and num_graph_neighbors 1 or more, "
                f"got {edge_dropout}, {content_weight} and {num_graph_neighbors}"
            )
        if sorted(weights) != names or not all(weight > 0.0 for weight in weights.values()):
            raise UsageError(
                f"modality_weights must have a positive number for each of {', '.join(names)}, got {weights}"
            )
        self.edge_dropout = edge_dropout
        self.content_weight = content_weight
        self.num_graph_neighbors = num_graph_neighbors
        self.modality_weights = weights
        self.projections = {
            name: tf.keras.layers.Dense(propagation.dim, dtype="float32", name=f"{name}_projection") for name in names
        }
        self.draws = RandomDraws(name="draws")
        self._log_chances: tf.Tensor | None = None

    def set_catalogue(self, tables: Mapping[str, Mapping[str, np.ndarray]], batch_size: int = 4096) -> None:
        """Keeps the known candidates' content, and makes the frozen graph of it."""
        super().set_catalogue(tables, batch_size)
        content = {name: tf.convert_to_tensor(found) for name, found in self.candidate_tower.fusion.content.items()}
        self.propagation.freeze(content, self.num_graph_neighbors, self.modality_weights)

    def set_graph(self, interactions: Interactions) -> None:
        """Gives the model what it trains on: every different pair is an edge."""
        super().set_graph(interactions)
        degrees = self._graph.query_degrees[:, 0], self._graph.candidate_degrees[:, 0]
        of_query, of_candidate = (tf.gather(side, self._graph.edges[:, place]) for place, side in enumerate(degrees))
        self._log_chances = -0.5 * (tf.math.log(of_query) + tf.math.log(of_candidate))

    def training_graph(self, inputs: Mapping) -> BipartiteGraph:
        """Some of the edges, others in every step, the same on every replica; a checkpoint remembers which."""
        if self.propagation.frozen is None:
            raise UsageError(
                "freedom's graph of candidates is made of their content: call set_catalogue before training"
            )
        if self._graph is None or self.edge_dropout == 0.0:
            return self._graph
        size = self._graph.num_edges
        seed = self.draws.next_seed(shared=True)
        # the best of log p + Gumbel noise are a draw without replacement
        uniform = tf.random.stateless_uniform([size], seed, minval=np.finfo(np.float32).tiny)
        noisy = self._log_chances - tf.math.log(-tf.math.log(uniform))
        places = tf.math.top_k(noisy, size - int(self.edge_dropout * size), sorted=False).indices
        return self._graph.subgraph(tf.scatter_nd(places[:, None], tf.ones_like(places, tf.bool), [size]))

    def row_losses(
        self,
        queries: tf.Tensor,
        table: tf.Tensor,
        positives: tf.Tensor,
        negatives: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """The model's loss, and that of each modality's projected content, float32 `[batch]`."""
        losses = super().row_losses(tf.identity(queries), table, positives, negatives, training)
        for name, project in self.projections.items():
            content = tf.convert_to_tensor(self.candidate_tower.fusion.content[name])  # [num_known, dim_m]
            queries = tf.identity(queries)  # gradients of two terms at a time, see `FrozenPropagation`
            projected, present = self.finish(project(content)), tf.reduce_any(content != 0.0, axis=1)
            of_content = self.ranking_losses(tf.identity(queries), projected, positives, negatives, present)
            losses += self.content_weight * of_content
        return losses

    def build_towers(self) -> int:
        """Creates every weight, see `GraphModel`. Returns the size of the vectors."""
        dim = super().build_towers()
        for name, project in self.projections.items():
            project.build(self.candidate_tower.fusion.content[name].shape)
        return dim


@inherits_settings(graph_towers, without=SET_BY_MODELS)
def build_freedom(
    schema: Schema,
    statistics: Statistics,
    *,
    dim: int = 64,
    num_layers: int = 2,
    num_content_layers: int = 1,
    num_graph_neighbors: int = 10,
    modality_weights: Mapping[str, float] | None = None,
    edge_dropout: float = 0.8,
    content_weight: float = 1e-3,
    loss: str = "bpr",
    normalize: bool | None = None,
    temperature: float | None = None,
    l2: float = 0.0,
    num_negatives: int = 1024,
    **content,
) -> FreedomModel:
    """Builds FREEDOM for a dataset: LightGCN over drawn edges, plus embeddings propagated among what looks alike.

    Content is the candidates' texts, media and vectors, and each has a frozen graph: see `FrozenPropagation` and
    `FreedomModel`. The authors draw the edges anew in every epoch, here in every step, from which a model sees more
    graphs in the same time. A candidate that is not in the graph gets the mean of its nearest neighbours' vectors, see
    `GraphCandidates`. A query that train does not have is embedded exactly by its history, see `GraphModel`.

    The paper compares an interaction with one candidate, drawn uniformly; here with the same `num_negatives` uniform
    ones for a step, with less noise. A full softmax over unit vectors (temperature 0.2) is the other choice, for
    content as well.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of the embeddings.
        num_layers: how far a propagation along interactions goes.
        num_content_layers: how far one along the frozen graph goes.
        num_graph_neighbors: of a candidate in the frozen graph, in each modality, itself among them.
        modality_weights: feature -> its share of the frozen graph; None: all the same. The authors' code has 0.1 for
            the picture and 0.9 for the text.
        edge_dropout: share of the interactions' edges left out in a step; the authors choose of 0.8 and 0.9.
        content_weight: of the losses of projected content; the authors choose of 0 to 0.001.
        loss: bpr as in the paper, or full_softmax.
        normalize: scale vectors of both sides to unit length; None: for full_softmax.
        temperature: the score is divided by it in the loss; None: 0.2 with `normalize`, else 1.
        l2: weight of half the squared length of a step's embeddings.
        num_negatives: of bpr, drawn in a step.
        **content: of encoders and histories, and of candidates outside the graph, see `graph_towers`.

    Raises:
        UsageError: candidates without content, an unknown loss, or a number out of range.
    """
    normalize, temperature = choose_scale(loss, normalize, temperature)
    return FreedomModel(
        *graph_towers(
            schema,
            statistics,
            dim,
            identifier_weight=1.0 / (num_layers + 1),
            normalize=normalize,
            **content,
        ),
        FrozenPropagation(dim, num_layers, num_content_layers, name="propagation"),
        edge_dropout=edge_dropout,
        content_weight=content_weight,
        num_graph_neighbors=num_graph_neighbors,
        modality_weights=modality_weights,
        candidate_counts=np.asarray(statistics.candidate_counts),
        loss=loss,
        normalize=normalize,
        temperature=temperature,
        l2=l2,
        num_negatives=num_negatives,
    )
