"""LATTICE: a learned graph of candidates by content, beside the graph of interactions (Zhang et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.data.statistics import Statistics
from tfmmrec.models.graph_model import GraphModel
from tfmmrec.models.graph_towers import A_CONTENT, SET_BY_MODELS, choose_scale, content_features, graph_towers
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.latent_propagation import LatentPropagation
from tfmmrec.schema import Schema
from tfmmrec.sparse_graph import BipartiteGraph
from tfmmrec.types import UsageError


class LatticeModel(GraphModel):
    """A graph model whose candidates' neighbours in content are looked up anew whenever its tables are made.

    A training does so at the end of each epoch, as the authors' code does at its beginning. What the neighbours weigh
    is of the present weights in every step.
    """

    def set_catalogue(self, tables: Mapping[str, Mapping[str, np.ndarray]], batch_size: int = 4096) -> None:
        """Keeps the known candidates' content, and makes the frozen graphs of it."""
        super().set_catalogue(tables, batch_size)
        self.propagation.freeze(self._content)

    @property
    def _content(self) -> dict[str, tf.Tensor]:
        return {name: tf.convert_to_tensor(found) for name, found in self.candidate_tower.fusion.content.items()}

    def training_graph(self, inputs: Mapping) -> BipartiteGraph:
        """The whole graph."""
        if not self.propagation.frozen:
            raise UsageError(
                "lattice's graph of candidates is made of their content: call set_catalogue before training"
            )
        return super().training_graph(inputs)

    def materialize(self) -> None:
        """Looks up the neighbours, and keeps the propagated vectors as the candidate tower's table."""
        if self.propagation.frozen:
            self.propagation.refresh(self._content)
        super().materialize()


@inherits_settings(graph_towers, without=SET_BY_MODELS)
def build_lattice(
    schema: Schema,
    statistics: Statistics,
    *,
    dim: int = 64,
    num_layers: int = 2,
    num_content_layers: int = 1,
    num_graph_neighbors: int = 10,
    frozen_weight: float = 0.9,
    projection_dim: int = 64,
    loss: str = "bpr",
    normalize: bool | None = None,
    temperature: float | None = None,
    l2: float = 1e-4,
    num_negatives: int = 1024,
    **content,
) -> LatticeModel:
    """Builds LATTICE for a dataset: LightGCN, plus embeddings propagated among what is alike by learned projections.

    Content is the candidates' texts, media and vectors, and each has a graph of its own: see `LatentPropagation` for
    the paper's equations. No similarity of all pairs is held: a graph has the nearest alone, looked up in parts, once
    an epoch. A candidate that is not in the graph of interactions gets the mean of its nearest neighbours' vectors, see
    `GraphCandidates`. A query that train does not have is embedded exactly by its history, see `GraphModel`.

    The paper compares an interaction with one candidate, drawn uniformly; here with the same `num_negatives` uniform
    ones for a step, with less noise. A full softmax over unit vectors (temperature 0.2) is the other choice.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of the embeddings.
        num_layers: how far a propagation along interactions goes.
        num_content_layers: how far one along the latent graph goes.
        num_graph_neighbors: of a candidate in each modality's graphs, itself among them.
        frozen_weight: of the graph by content as it is, beside the learned one; the authors' code has 0.9.
        projection_dim: size of the projected content of which that is made.
        loss: bpr as in the paper, or full_softmax.
        normalize: scale vectors of both sides to unit length; None: for full_softmax.
        temperature: the score is divided by it in the loss; None: 0.2 with `normalize`, else 1.
        l2: weight of half the squared length of a step's embeddings.
        num_negatives: of bpr, drawn in a step.
        **content: of encoders and histories, and of candidates outside the graph, see `graph_towers`.

    Raises:
        UsageError: candidates without content, an unknown loss, or a number out of range.
    """
    if not content_features(schema):
        raise UsageError(
            f"lattice needs candidates with {A_CONTENT}, this dataset has none; describe one in its config, "
            "or take lightgcn, which learns of ids alone"
        )
    normalize, temperature = choose_scale(loss, normalize, temperature)
    return LatticeModel(
        *graph_towers(
            schema,
            statistics,
            dim,
            identifier_weight=1.0 / (num_layers + 1),
            normalize=normalize,
            **content,
        ),
        LatentPropagation(
            dim,
            num_layers,
            num_content_layers,
            num_graph_neighbors,
            frozen_weight,
            projection_dim,
            name="propagation",
        ),
        candidate_counts=np.asarray(statistics.candidate_counts),
        loss=loss,
        normalize=normalize,
        temperature=temperature,
        l2=l2,
        num_negatives=num_negatives,
    )
