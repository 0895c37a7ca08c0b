"""LightGCN: embeddings of ids, propagated along interactions (He et al. 2020)."""

from __future__ import annotations

import numpy as np

from tfmmrec.data.statistics import Statistics
from tfmmrec.models.graph_model import GraphModel
from tfmmrec.models.graph_towers import SET_BY_MODELS, choose_scale, graph_towers
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.light_propagation import LightPropagation
from tfmmrec.schema import Schema


@inherits_settings(graph_towers, without=SET_BY_MODELS)
def build_lightgcn(
    schema: Schema,
    statistics: Statistics,
    *,
    dim: int = 64,
    num_layers: int = 2,
    loss: str = "bpr",
    normalize: bool | None = None,
    temperature: float | None = None,
    l2: float = 1e-4,
    num_negatives: int = 1024,
    **content,
) -> GraphModel:
    """Builds LightGCN for a dataset: the mean over layers of embeddings propagated along interactions.

    As in the paper it learns of ids alone. Content (texts, media, vectors) is read where an id is not in the graph:
    such a candidate gets the mean of its nearest neighbours' vectors, see `GraphCandidates`. A query that train does
    not have is embedded exactly by its history, see `GraphModel`, one without a history has no vector.

    The paper compares an interaction with one candidate, drawn uniformly; here with the same `num_negatives` uniform
    ones for a step, with less noise. A full softmax over unit vectors (temperature 0.2) is the other choice.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of the embeddings.
        num_layers: how far a propagation goes; the paper has 3.
        loss: bpr as in the paper, or full_softmax.
        normalize: scale vectors of both sides to unit length; None: for full_softmax.
        temperature: the score is divided by it in the loss; None: 0.2 with `normalize`, else 1.
        l2: weight of half the squared length of a step's embeddings.
        num_negatives: of bpr, drawn in a step.
        **content: of encoders and histories, and of candidates outside the graph, see `graph_towers`.

    Raises:
        UsageError: an unknown loss, or a number out of range.
    """
    normalize, temperature = choose_scale(loss, normalize, temperature)
    return GraphModel(
        *graph_towers(
            schema,
            statistics,
            dim,
            identifier_weight=1.0 / (num_layers + 1),
            normalize=normalize,
            **content,
        ),
        LightPropagation(dim, num_layers, name="propagation"),
        candidate_counts=np.asarray(statistics.candidate_counts),
        loss=loss,
        normalize=normalize,
        temperature=temperature,
        l2=l2,
        num_negatives=num_negatives,
    )
