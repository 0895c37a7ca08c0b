"""From a dataset to the two towers of a graph model."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.data.statistics import Statistics
from tfmmrec.encoders.history import HistoryEncoder
from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.fusion.embedded import masked_vectors
from tfmmrec.models.graph_candidates import GraphCandidates, GraphIdentifier
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.parts import feature_encoder, feature_encoders
from tfmmrec.schema import CONTENT_KINDS, Feature, Schema
from tfmmrec.towers import Tower
from tfmmrec.types import Embedded, UsageError

_STDDEV = 0.1  # of the initial embeddings, as LightGCN's authors' code has it
SET_BY_MODELS = ("identifier_weight", "query_fusion", "normalize", "head")
"""Of `graph_towers`' settings those that a model gives; the others are its users'."""
A_CONTENT = f"a {', '.join(CONTENT_KINDS[:-1])} or {CONTENT_KINDS[-1]}"
"""For messages: what a graph model reads of candidates."""


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


@inherits_settings(feature_encoder, without=["text_mode", "image_mode", "audio_mode", "video_mode", "pretrained_mode"])
def graph_towers(
    schema: Schema,
    statistics: Statistics,
    dim: int,
    *,
    identifier_weight: float = 1.0,
    query_fusion: tf.keras.layers.Layer | None = None,
    normalize: bool,
    head: tf.keras.layers.Layer | None = None,
    num_neighbors: int = 10,
    max_history: int = 1000,
    feature_dim: int = 64,
    **encoding,
) -> tuple[Tower, Tower]:
    """The query tower, of id and history, and the candidate tower, of id and all content, as `GraphModel` wants them.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of the embeddings, and of z and of t.
        identifier_weight: of a query's own embedding beside its history, where they are added.
        query_fusion: of `id` and `history`, where they are not just added; its attributes `query_dim` and `history_dim`
            are the sizes of a query's embedding and of t.
        normalize: scale the queries' vectors to unit length.
        head: of the query tower, after the sum; None for none.
        num_neighbors: of a candidate outside the graph.
        max_history: a query's vector is exact up to so many candidates in train. Histories are as long as the longest
            in train needs, but not longer than this, or than the schema's.
        feature_dim: size of the vectors that the small networks for pictures, sounds and videos learn.
        **encoding: of candidates' features, as `feature_encoder` takes it; all is cached.

    Raises:
        UsageError: a size below 1.
    """
    if min(dim, max_history) < 1:
        raise UsageError(f"dim and max_history must be at least 1, got {dim} and {max_history}")
    content = feature_encoders(content_features(schema), statistics.candidates, feature_dim, **encoding)
    in_schema = schema.queries.history.length if schema.queries.history is not None else 1
    length = max(in_schema, min(statistics.longest_history, max_history))
    # in full precision: they are added to, or looked up beside, what was propagated in it
    exact = {"dtype": "float32"}
    ids = statistics.chosen_candidate_ids
    query_dim, history_dim = dim, dim
    if query_fusion is None:
        query_fusion = IdentifierAndHistory(identifier_weight, name="fusion")
    else:
        query_dim, history_dim = query_fusion.query_dim, query_fusion.history_dim
    query_tower = Tower(
        {
            "id": IdentifierEncoder(statistics.query_ids, query_dim, embeddings_stddev=_STDDEV, name="id", **exact),
            "history": HistoryEncoder(length, exponent=0.5, name="history", **exact),
        },
        query_fusion,
        head=head,
        normalize=normalize,
        name="query_tower",
    )
    candidate_tower = Tower(
        {"id": GraphIdentifier(ids, dim, embeddings_stddev=_STDDEV, name="id", **exact)} | content,
        GraphCandidates(max(len(ids), 1), dim + history_dim, num_neighbors, name="fusion"),
        name="candidate_tower",
    )
    return query_tower, candidate_tower


def content_features(schema: Schema) -> dict[str, Feature]:
    """A candidate's features with vectors that need no training of the model, by name."""
    return {name: feature for name, feature in schema.candidates.features.items() if feature.kind in CONTENT_KINDS}


def choose_scale(loss: str, normalize: bool | None, temperature: float | None) -> tuple[bool, float]:
    """Whether vectors have unit length, by default for full_softmax, and the temperature, 0.2 of unit vectors, else 1.

    Args:
        loss: of the model.
        normalize: as asked for; None for the default.
        temperature: as asked for; None for the default.
    """
    normalize = loss == "full_softmax" if normalize is None else normalize
    if temperature is None:
        temperature = 0.2 if normalize else 1.0
    return normalize, temperature
