import numpy as np
import pytest

from tests.conformance.models import HISTORY_LENGTH, catalogue, named, ready, statistics
from tfmmrec.encoders import HistoryEncoder, SequenceHistoryEncoder
from tfmmrec.models.history_encoders import HISTORY_ENCODERS, history_encoder
from tfmmrec.models.two_tower_builder import build_two_tower
from tfmmrec.types import UsageError

SMALL = {"dim": 8, "feature_dim": 6, "text_dim": 5, "image_size": 16}


def schema_without(part, **fields):
    schema = catalogue().schema
    return schema.model_copy(update={part: getattr(schema, part).model_copy(update=fields)})


WITHOUT_TIMES = schema_without("interactions", timestamp=None)
WITHOUT_HISTORY = schema_without("queries", history=None)


@pytest.mark.parametrize("kind", HISTORY_ENCODERS)
def test_each_kind_has_its_encoder(kind):
    found = history_encoder(kind, catalogue().schema, 0.25)
    assert type(found) is (HistoryEncoder if kind == "mean" else SequenceHistoryEncoder)
    assert (found.name, found.length, found.dropout) == ("history", HISTORY_LENGTH, 0.25)
    assert getattr(found, "kind", "mean") == kind


def test_the_mean_needs_no_times_and_no_history():
    assert type(history_encoder("mean", WITHOUT_TIMES, 0.0)) is HistoryEncoder
    assert history_encoder("mean", WITHOUT_HISTORY, 0.0) is None


@pytest.mark.parametrize(
    ("kind", "schema", "message"),
    [
        ("median", None, "history_encoder must be one of mean, transformer, gru, lstm, got 'median'"),
        ("gru", WITHOUT_TIMES, "gru reads a history in its order, but these interactions have no times; set inter"),
        ("lstm", WITHOUT_HISTORY, "history_encoder=lstm reads histories, this dataset has none; set queries.history"),
    ],
)
def test_what_makes_no_sense_is_refused(kind, schema, message):
    with pytest.raises(UsageError, match=message):
        history_encoder(kind, schema or catalogue().schema, 0.0)


def test_the_options_arrive_in_a_model():
    options = {"num_history_layers": 3, "num_history_heads": 4, "causal_history": False}
    model = build_two_tower(
        catalogue().schema, statistics(), history_encoder="transformer", history_dropout=0.5, dropout=0.125,
        **options, **SMALL
    )  # fmt: skip
    found = model.query_tower.encoders["history"]
    assert (found.kind, found.dim, found.num_layers, found.num_heads) == ("transformer", 8, 3, 4)
    assert (found.dropout, found.hidden_dropout, found.causal) == (0.5, 0.125, False)
    assert model.query_tower.fusion.direct == ("history",)


@pytest.mark.parametrize("options", [{"loss": "sampled_softmax"}, {"history_tower": False}, {"fusion": "late"}])
def test_a_sequence_has_the_size_of_the_queries_fusion_whatever_it_reads(options):
    model = build_two_tower(catalogue().schema, statistics(), history_encoder="gru", **options, **SMALL)
    assert model.query_tower.fusion.direct == ("history",)
    model.build_towers()


def test_a_model_without_histories_refuses_a_sequence():
    with pytest.raises(UsageError, match="history_encoder=gru reads histories, but history=False"):
        build_two_tower(catalogue().schema, statistics(), history=False, history_encoder="gru", **SMALL)
    build_two_tower(catalogue().schema, statistics(), history=False, **SMALL)


@pytest.mark.parametrize("name", ["sampled softmax", "two_tower"])  # rows are interactions, or queries
def test_what_a_sequence_reads_came_before_its_targets_newest_first(name):
    stream, train = ready(named(name), batch_size=8).stream, catalogue().train
    seen = 0
    for step in range(6):
        batch, (places, _) = stream.batch(step), stream._places(step)
        for row, history in enumerate(batch["query"]["history"]["rows"]):
            if "targets" in batch:
                query, targets = stream.queries[places[row]], np.flatnonzero(batch["targets"][row])
            else:
                query = np.searchsorted(train.indptr, places[row], side="right") - 1
                targets = batch["candidate_rows"][batch["positive"][row]][None]
            when = train.candidates_of(int(query)).tolist()
            order = [when.index(candidate) for candidate in history if candidate >= 0]
            assert order == sorted(order, reverse=True) and not set(history) & set(targets)
            assert all(place < min(when.index(target) for target in targets) for place in order)
            seen += len(order)
    assert seen > 50
