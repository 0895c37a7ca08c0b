"""This library's own graph model: content in the embeddings, held-out edges, a full softmax over unit vectors."""

from __future__ import annotations

import numpy as np

from tfmmrec.data.statistics import Statistics
from tfmmrec.models.content_propagation import ContentPropagation
from tfmmrec.models.graph_model import GraphModel
from tfmmrec.models.graph_towers import SET_BY_MODELS, choose_scale, graph_towers
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.schema import Schema


@inherits_settings(graph_towers, without=SET_BY_MODELS)
def build_multimodal_graph(
    schema: Schema,
    statistics: Statistics,
    *,
    dim: int = 256,
    num_layers: int = 2,
    content_dropout: float = 0.5,
    hold_out: bool = True,
    loss: str = "full_softmax",
    normalize: bool | None = None,
    temperature: float | None = None,
    l2: float = 0.0,
    num_negatives: int = 1024,
    **content,
) -> GraphModel:
    """Builds a graph model for catalogues with content and few interactions of each query.

    Three things are not LightGCN's (He et al. 2020). A candidate's embedding has its projected content in it, see
    `ContentPropagation`. A step propagates without its own batch's edges (`hold_out`, see `GraphModel`), so that it
    learns to find what the rest of the graph does not say yet: with them the history of a query with three candidates
    has the answer among its three. And the loss is a full softmax over unit vectors.

    A candidate that is not in the graph gets the mean of its nearest neighbours' vectors, see `GraphCandidates`. A
    query that train does not have is embedded exactly by its history, see `GraphModel`, one without a history has no
    vector.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of the embeddings.
        num_layers: how far a propagation goes.
        content_dropout: share of the numbers of content set to zero in training.
        hold_out: propagate without the batch's own edges.
        loss: full_softmax or bpr.
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
        ContentPropagation(dim, num_layers, content_dropout, name="propagation"),
        candidate_counts=np.asarray(statistics.candidate_counts),
        hold_out=hold_out,
        loss=loss,
        normalize=normalize,
        temperature=temperature,
        l2=l2,
        num_negatives=num_negatives,
    )
