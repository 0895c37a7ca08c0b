"""Both sides of a ranking model as fields."""

from __future__ import annotations

from tfmmrec.data.statistics import Statistics
from tfmmrec.encoders.history import HistoryEncoder
from tfmmrec.fusion.fields import FieldsFusion
from tfmmrec.models.identifiers import check_identifiers, identifier_encoder
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.parts import feature_encoder, feature_encoders, of_queries
from tfmmrec.schema import Schema
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError


@inherits_settings(feature_encoder)
def field_towers(
    schema: Schema,
    statistics: Statistics,
    dim: int,
    *,
    query_id: bool,
    feature_dim: int = 64,
    content_scale: float | None = 1.0,
    identifier_dropout: float = 0.1,
    query_identifier_dropout: float = 0.0,
    identifier: str = "table",
    identifier_buckets: int | None = None,
    query_identifier_buckets: int | None = None,
    history_dropout: float = 0.0,
    **encoding,
) -> tuple[Tower, Tower]:
    """The towers of a query (its id, its features, its history) and of a candidate (its id, its features).

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of every field.
        query_id: the query's id is a field.
        feature_dim: size of each content feature's vector before its projection.
        content_scale: length of a feature's vector before its projection; None leaves it as it is.
        identifier_dropout: share of candidate ids made absent in training, so that content learns to do without.
        query_identifier_dropout: the same for query ids.
        identifier: table (a row for each id), or hashed or quotient_remainder, where ids share fewer rows, see
            `HashedIdentifier` and `QuotientRemainderIdentifier`; tpu_embedding, see `TpuIdentifier`; both sides' ids.
        identifier_buckets: rows that candidate ids share; a quarter of the ids when None.
        query_identifier_buckets: the same for query ids.
        history_dropout: share of a history's entries left out in training.
        **encoding: of candidates' features, as `feature_encoder` takes it; those of queries are encoded in every step.

    Raises:
        UsageError: a size below 1, an unknown identifier, buckets of no ids, or a query without any field.
    """
    if min(dim, feature_dim) < 1:
        raise UsageError(f"sizes of fields must be at least 1, got dim={dim}, feature_dim={feature_dim}")
    check_identifiers(
        identifier,
        {"identifier_buckets": identifier_buckets, "query_identifier_buckets": query_identifier_buckets},
        {"identifier_buckets": True, "query_identifier_buckets": query_id},
    )
    live = of_queries(encoding)
    candidates = {
        "id": identifier_encoder(
            identifier, statistics.chosen_candidate_ids, dim, identifier_buckets, dropout=identifier_dropout
        )
    } | feature_encoders(schema.candidates.features, statistics.candidates, feature_dim, **encoding)
    queries = feature_encoders(schema.queries.features, statistics.queries, feature_dim, **live)
    if query_id:
        queries["id"] = identifier_encoder(
            identifier, statistics.query_ids, dim, query_identifier_buckets, dropout=query_identifier_dropout
        )
    if schema.queries.history is not None:
        queries["history"] = HistoryEncoder(schema.queries.history.length, dropout=history_dropout, name="history")
    if not queries:
        raise UsageError("a query needs at least one field: set query_id=true, or describe a history or a feature")
    return (
        Tower(queries, FieldsFusion(dim, direct=["id"], scale=content_scale, name="fusion"), name="query_tower"),
        Tower(candidates, FieldsFusion(dim, direct=["id"], scale=content_scale, name="fusion"), name="candidate_tower"),
    )
