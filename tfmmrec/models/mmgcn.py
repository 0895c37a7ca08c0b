"""MMGCN: a propagation along interactions for each modality (Wei et al. 2019)."""

from __future__ import annotations

import numpy as np

from tfmmrec.data.statistics import Statistics
from tfmmrec.models.graph_model import GraphModel
from tfmmrec.models.graph_towers import A_CONTENT, SET_BY_MODELS, choose_scale, content_features, graph_towers
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.modality_propagation import ModalityPropagation, PropagatedQuery
from tfmmrec.schema import Schema
from tfmmrec.types import UsageError


@inherits_settings(graph_towers, without=SET_BY_MODELS)
def build_mmgcn(
    schema: Schema,
    statistics: Statistics,
    *,
    dim: int = 64,
    num_layers: int = 2,
    combination: str = "sum",
    loss: str = "bpr",
    normalize: bool | None = None,
    temperature: float | None = None,
    l2: float = 1e-4,
    num_negatives: int = 1024,
    **content,
) -> GraphModel:
    """Builds MMGCN for a dataset: vectors propagated along interactions, through nonlinear layers, in each modality.

    The modalities are the candidates' texts, media and vectors; queries have a vector of their own for each. See
    `ModalityPropagation` and `ModalityLayer` for the paper's equations. A candidate that is not in the graph gets the
    mean of its nearest neighbours' vectors, see `GraphCandidates`. A query that train does not have is embedded exactly
    by its history, as a node without embeddings of its own; one without a history has no vector.

    The paper compares an interaction with one candidate, drawn uniformly; here with the same `num_negatives` uniform
    ones for a step, with less noise. A full softmax over unit vectors (temperature 0.2) is the other choice. A history
    pools `num_layers` · modalities · `dim` numbers of each candidate, which an index carries.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of all vectors.
        num_layers: how far a propagation goes.
        combination: of a node's neighbours with its own vector: sum or concat, the paper's equations 7 and 6.
        loss: bpr as in the paper, or full_softmax.
        normalize: scale vectors of both sides to unit length; None: for full_softmax.
        temperature: the score is divided by it in the loss; None: 0.2 with `normalize`, else 1.
        l2: weight of half the squared length of a step's embeddings.
        num_negatives: of bpr, drawn in a step.
        **content: of encoders and histories, and of candidates outside the graph, see `graph_towers`.

    Raises:
        UsageError: candidates without content, an unknown loss or combination, or a number out of range.
    """
    num_modalities = len(content_features(schema))
    if not num_modalities:
        raise UsageError(
            f"mmgcn needs candidates with {A_CONTENT}, this dataset has none; describe one in its config, "
            "or take lightgcn, which learns of ids alone"
        )
    normalize, temperature = choose_scale(loss, normalize, temperature)
    query_fusion = PropagatedQuery(num_modalities, dim, num_layers, combination, name="fusion")
    return GraphModel(
        *graph_towers(
            schema,
            statistics,
            dim,
            query_fusion=query_fusion,
            normalize=normalize,
            **content,
        ),
        ModalityPropagation(query_fusion, name="propagation"),
        candidate_counts=np.asarray(statistics.candidate_counts),
        loss=loss,
        normalize=normalize,
        temperature=temperature,
        l2=l2,
        num_negatives=num_negatives,
    )
