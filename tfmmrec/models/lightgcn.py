"""LightGCN: embeddings of ids, propagated along interactions (He et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.data.statistics import Statistics
from tfmmrec.encoders.history import HistoryEncoder
from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.fusion.embedded import masked_vectors
from tfmmrec.models.graph_candidates import GraphCandidates, GraphIdentifier
from tfmmrec.models.graph_model import GraphModel
from tfmmrec.models.parts import feature_encoders
from tfmmrec.schema import Schema
from tfmmrec.sparse_graph import BipartiteGraph, inverse_root
from tfmmrec.towers import Tower
from tfmmrec.types import Embedded, UsageError

_STDDEV = 0.1  # of the initial embeddings, as the authors' code has it
_CONTENT = ("text", "image", "vector")  # what has vectors that no training of this model has to learn


class LightPropagation(tf.keras.layers.Layer):
    """e_u^(l) = Σ_{i ∈ N_u} e_i^(l−1) / √(|N_u| |N_i|), e_i^(l) likewise; no weights.

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


@tf.keras.utils.register_keras_serializable("tfmmrec")
class IdentifierAndHistory(tf.keras.layers.Layer):
    """identifier_weight · e_id + pooled history.

    Args:
        identifier_weight: of the id's embedding.
    """

    def __init__(self, identifier_weight: float, **kwargs):
        super().__init__(**({"dtype": "float32", "autocast": False} | kwargs))
        self.identifier_weight = identifier_weight

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """`history` and `id` of one size -> `[batch, dim]`."""
        history, identity = masked_vectors(embedded, "float32")
        return self.identifier_weight * identity + history

    def get_config(self):
        return super().get_config() | {"identifier_weight": self.identifier_weight}


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
    num_neighbors: int = 10,
    max_history: int = 1000,
    feature_dim: int = 64,
    text_dim: int = 128,
    max_words: int = 128,
    image_size: int = 64,
    pretrained: Mapping[str, str] | None = None,
) -> GraphModel:
    """Builds LightGCN for a dataset: the mean over layers of embeddings propagated along interactions.

    As in the paper it learns of ids alone. Content (texts, pictures, vectors) is read where an id is not in the graph:
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
        num_neighbors: of a candidate outside the graph.
        max_history: a query's vector is exact up to so many candidates in train. Histories are as long as the longest
            in train needs, but not longer than this, or than the schema's.
        feature_dim: size of the vector that the small image network learns.
        text_dim: size of a text's vector.
        max_words: cap on the words read of a text.
        image_size: pixels in height and width the image network sees.
        pretrained: text or image feature -> TF-Hub handle or directory of the SavedModel that encodes it.

    Raises:
        UsageError: an unknown loss, or a number out of range.
    """
    if min(dim, max_history) < 1:
        raise UsageError(f"dim and max_history must be at least 1, got {dim} and {max_history}")
    described = schema.candidates.features
    content = feature_encoders(
        {name: feature for name, feature in described.items() if feature.kind in _CONTENT},
        statistics.candidates,
        feature_dim,
        text_dim=text_dim,
        max_words=max_words,
        image_size=image_size,
        pretrained=pretrained,
    )
    normalize = loss == "full_softmax" if normalize is None else normalize
    if temperature is None:
        temperature = 0.2 if normalize else 1.0
    propagation = LightPropagation(dim, num_layers, name="propagation")
    in_schema = schema.queries.history.length if schema.queries.history is not None else 1
    length = max(in_schema, min(statistics.longest_history, max_history))
    # in full precision: they are added to, or looked up beside, what was propagated in it
    exact = {"dtype": "float32"}
    ids = statistics.chosen_candidate_ids
    return GraphModel(
        Tower(
            {
                "id": IdentifierEncoder(statistics.query_ids, dim, embeddings_stddev=_STDDEV, name="id", **exact),
                "history": HistoryEncoder(length, exponent=0.5, name="history", **exact),
            },
            IdentifierAndHistory(1.0 / (num_layers + 1), name="fusion"),
            normalize=normalize,
            name="query_tower",
        ),
        Tower(
            {"id": GraphIdentifier(ids, dim, embeddings_stddev=_STDDEV, name="id", **exact)} | content,
            GraphCandidates(max(len(ids), 1), 2 * dim, num_neighbors, name="fusion"),
            name="candidate_tower",
        ),
        propagation,
        candidate_counts=np.asarray(statistics.candidate_counts),
        loss=loss,
        normalize=normalize,
        temperature=temperature,
        l2=l2,
        num_negatives=num_negatives,
    )
