import pytest

from tests.conformance.models import HISTORY_LENGTH, catalogue, statistics
from tfmmrec.encoders import HistoryEncoder, ImageEncoder, TextEncoder
from tfmmrec.models.field_towers import field_towers
from tfmmrec.types import UsageError

OPTIONS = {"feature_dim": 6, "text_dim": 5, "image_size": 16}


def towers(schema=None, **options):
    return field_towers(schema or catalogue().schema, statistics(), 8, **({"query_id": True} | OPTIONS | options))


def without_history_and_features():
    schema = catalogue().schema
    return schema.model_copy(update={"queries": schema.queries.model_copy(update={"history": None, "features": {}})})


def test_every_id_feature_and_history_is_a_field():
    query, candidate = towers(
        history_dropout=0.5, identifier_dropout=0.25, query_identifier_dropout=0.125, content_scale=0.5
    )
    assert set(query.encoders) == {"id", "about", "age", "region", "history"}
    assert set(candidate.encoders) == {"id", *catalogue().schema.candidates.features}
    history = query.encoders["history"]
    assert type(history) is HistoryEncoder and (history.length, history.dropout) == (HISTORY_LENGTH, 0.5)
    assert (candidate.encoders["id"].dropout, query.encoders["id"].dropout) == (0.25, 0.125)
    assert query.fusion.scale == candidate.fusion.scale == 0.5
    assert candidate.build_from_raw() == 8 * 8 + 8


def test_encoders_of_candidates_may_be_cached_those_of_queries_never():
    query, candidate = towers()
    assert candidate.cached_features and not query.cached_features
    assert type(query.encoders["about"]) is TextEncoder and query.encoders["about"].dim <= 5
    assert type(candidate.encoders["photo"]) is ImageEncoder and candidate.encoders["photo"].mode == "cached"


def test_the_query_s_id_can_be_left_out():
    assert "id" not in towers(query_id=False)[0].encoders


def test_a_query_without_any_field_is_refused():
    with pytest.raises(UsageError, match="a query needs at least one field: set query_id=true"):
        towers(without_history_and_features(), query_id=False)
    assert set(towers(without_history_and_features())[0].encoders) == {"id"}


def test_a_size_below_one_is_refused():
    with pytest.raises(UsageError, match="sizes of fields must be at least 1, got dim=0, feature_dim=6"):
        field_towers(catalogue().schema, statistics(), 0, query_id=True, feature_dim=6)
