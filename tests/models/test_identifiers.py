import numpy as np
import pytest

from tests.conformance.models import catalogue, statistics
from tfmmrec.encoders import HashedIdentifier, IdentifierEncoder, QuotientRemainderIdentifier, TpuIdentifier
from tfmmrec.models.field_towers import field_towers
from tfmmrec.models.graph_candidates import GraphIdentifier
from tfmmrec.models.identifiers import identifier_encoder
from tfmmrec.models.two_tower_builder import build_two_tower
from tfmmrec.types import UsageError
from tfmmrec.zoo import ZOO, check_hyperparameters

KINDS = {
    "table": IdentifierEncoder,
    "hashed": HashedIdentifier,
    "quotient_remainder": QuotientRemainderIdentifier,
    "tpu_embedding": TpuIdentifier,
}
WHOLE = ("table", "tpu_embedding")
SETTINGS = {"identifier", "identifier_buckets", "query_identifier_buckets"}


def build(**hyperparameters):
    small = {"dim": 8, "feature_dim": 6, "text_dim": 5, "image_size": 16, "query_id": True}
    return build_two_tower(catalogue().schema, statistics(), **(small | hyperparameters))


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_by_its_name(kind, caplog):
    ids = [f"c{n}" for n in range(9)]
    encoder = identifier_encoder(kind, ids, 4, dropout=0.25)
    assert type(encoder) is KINDS[kind] and encoder.name == "id"
    assert (encoder.vocabulary, encoder.dim, encoder.dropout) == (ids, 4, 0.25)
    if kind not in WHOLE:
        assert encoder.num_buckets == 3  # a quarter, rounded up
        assert identifier_encoder(kind, ids, 4, 5).num_buckets == 5
        assert identifier_encoder(kind, [], 4).num_buckets == identifier_encoder(kind, ["a"], 4).num_buckets == 1
        assert identifier_encoder(kind, ids, 4, 8).num_buckets == 8
        assert not caplog.records
        assert identifier_encoder(kind, ids, 4, 9).num_buckets == 9
        assert "9 buckets (identifier_buckets, query_identifier_buckets) save nothing" in caplog.text
    assert type(identifier_encoder("table", ids, 4, table=GraphIdentifier)) is GraphIdentifier


@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_of_a_model_have_them(kind):
    buckets = {} if kind in WHOLE else {"identifier_buckets": 5, "query_identifier_buckets": 7}
    model = build(identifier=kind, identifier_dropout=0.5, query_identifier_dropout=0.75, **buckets)
    towers = [model.candidate_tower, model.history_tower, model.query_tower]
    ranker = field_towers(catalogue().schema, statistics(), 8, query_id=True, identifier=kind, **buckets)
    for tower in [*towers, *ranker]:
        assert type(tower.encoders["id"]) is KINDS[kind]
    assert [tower.encoders["id"].dropout for tower in towers] == [0.5, 0.0, 0.75]
    chosen = np.flatnonzero(statistics().candidate_counts)
    assert towers[0].encoders["id"].vocabulary == [f"c{i}" for i in chosen]  # new candidates' ids stay unknown
    if buckets:
        assert [tower.encoders["id"].num_buckets for tower in towers] == [5, 5, 7]
        assert [tower.encoders["id"].num_buckets for tower in ranker] == [7, 5]
    model.build_towers()


def test_which_models_have_the_choice():
    having = {name for name, entry in ZOO.items() if SETTINGS <= set(entry.hyperparameters)}
    assert having == {"two_tower", "id_only", "history_only", "multitask", "ranker", "mmdfm", "mmal"}
    for name in set(ZOO) - having:
        assert not SETTINGS & set(ZOO[name].hyperparameters)
    with pytest.raises(UsageError, match="lightgcn has no setting 'identifier'"):
        check_hyperparameters("lightgcn", {"identifier": "hashed"})


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="one of table, hashed, quotient_remainder, tpu_embedding, got 'hash'"):
        build(identifier="hash")
    with pytest.raises(UsageError, match="identifier_buckets=9, but identifier=table has a row for every id; take "):
        build(identifier_buckets=9)
    with pytest.raises(UsageError, match="identifier_buckets=9, but identifier=tpu_embedding has a row for every id"):
        build(identifier="tpu_embedding", identifier_buckets=9)
    with pytest.raises(UsageError, match="query_identifier_buckets=9, but the model has no id on that side"):
        build(identifier="hashed", query_identifier_buckets=9, query_id=None)  # there is a history
    with pytest.raises(UsageError, match="identifier_buckets=9, but the model has no id on that side; leave it out"):
        build(identifier="hashed", identifier_buckets=9, candidate_id=False)
    with pytest.raises(UsageError, match="identifier=hashed, but the model has no id on either side; leave it out"):
        build(identifier="hashed", candidate_id=False, query_id=False)
    with pytest.raises(UsageError, match="fusion=graph finds candidates by their rows in a table: take identifier=tab"):
        build(identifier="hashed", fusion="graph")
    with pytest.raises(UsageError, match="query_identifier_buckets=9, but the model has no id on that side"):
        field_towers(
            catalogue().schema, statistics(), 8, query_id=False, identifier="hashed", query_identifier_buckets=9
        )
