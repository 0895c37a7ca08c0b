import numpy as np
import pytest

from tests.conformance.models import HISTORY_LENGTH, NUM_CANDIDATES, catalogue, statistics
from tfmmrec.encoders import ImageEncoder, TextEncoder
from tfmmrec.fusion import EarlyFusion, HybridFusion, LateFusion, LateQueryHead
from tfmmrec.models import loss_choice
from tfmmrec.models.graph_candidates import GraphIdentifier
from tfmmrec.models.in_batch_losses import NegativeOptions
from tfmmrec.models.two_tower_builder import build_content_only, build_two_tower
from tfmmrec.schema import HistorySchema
from tfmmrec.types import UsageError

CONTENT = {"title", "photo", "genre", "tags", "artist", "price", "look"}
ABOUT = {"about", "age", "region"}


def build(schema=None, **hyperparameters):
    small = {"dim": 8, "feature_dim": 6, "text_dim": 5, "image_size": 16, "query_id": True}
    return build_two_tower(schema or catalogue().schema, statistics(), **(small | hyperparameters))


def with_history(history):
    schema = catalogue().schema
    return schema.model_copy(update={"queries": schema.queries.model_copy(update={"history": history})})


@pytest.mark.parametrize(
    ("options", "of_candidates", "of_queries"),
    [
        ({}, {"id", *CONTENT}, {"id", "history", *ABOUT}),
        ({"query_id": False}, {"id", *CONTENT}, {"history", *ABOUT}),
        ({"candidate_id": False}, CONTENT, {"id", "history", *ABOUT}),
        ({"content": False}, {"id"}, {"id", "history", *ABOUT}),
        ({"query_features": False}, {"id", *CONTENT}, {"id", "history"}),
        ({"history": False}, {"id", *CONTENT}, {"id", *ABOUT}),
        ({"schema": with_history(None)}, {"id", *CONTENT}, {"id", *ABOUT}),
    ],
)
def test_each_switch_takes_its_part_out(options, of_candidates, of_queries):
    model = build(**options)
    assert set(model.candidate_tower.encoders) == of_candidates
    assert set(model.query_tower.encoders) == of_queries
    assert (model.history_tower is not None) == ("history" in of_queries)
    model.build_towers()


def test_sizes_and_caps_arrive():
    model = build(max_words=2, history_dropout=0.25, identifier_dropout=0.5, query_identifier_dropout=0.75)
    candidates, queries = model.candidate_tower.encoders, model.query_tower.encoders
    assert {name: candidates[name].dim for name in ("id", "title", "photo", "genre", "artist", "price", "look")} == {
        "id": 8, "title": 5, "photo": 6, "genre": 6, "artist": 6, "price": 6, "look": 3
    }  # fmt: skip
    assert (candidates["title"].max_words, queries["about"].max_words) == (2, 2)
    assert (candidates["photo"].height, candidates["photo"].width) == (16, 16)
    assert (queries["history"].length, queries["history"].dropout) == (HISTORY_LENGTH, 0.25)
    assert (candidates["id"].dropout, queries["id"].dropout) == (0.5, 0.75)
    assert model.num_candidates == NUM_CANDIDATES
    chosen = np.flatnonzero(statistics().candidate_counts)  # the others' ids are unknown
    assert 0 < len(chosen) < NUM_CANDIDATES and candidates["id"].vocabulary == [f"c{i}" for i in chosen]


def test_what_is_cached_on_the_candidates_side_is_live_on_the_queries():
    for mode in ("cached", "finetuned"):
        model = build(text_mode=mode, image_mode=mode)
        kinds = {name: encoder for name, encoder in model.candidate_tower.encoders.items() if hasattr(encoder, "mode")}
        assert {type(encoder) for encoder in kinds.values()} == {TextEncoder, ImageEncoder}
        assert {encoder.mode for encoder in kinds.values()} == {mode}
        assert model.query_tower.encoders["about"].mode == "finetuned"


def test_a_history_tower_has_an_id_of_its_own_and_shares_the_content():
    model = build(identifier_dropout=0.5)
    for name, encoder in model.history_tower.encoders.items():
        assert (encoder is model.candidate_tower.encoders[name]) == (name in CONTENT)
    assert model.history_tower.encoders["id"].dropout == 0.0
    assert "id" not in build(candidate_id=False).history_tower.encoders
    assert build(history_tower=False).history_tower is None
    assert build(loss="sampled_softmax").history_tower is None


def test_the_fusions():
    early = build(hidden_dims=[7], query_hidden_dims=[9, 5], dropout=0.125)
    assert type(early.candidate_tower.fusion) is EarlyFusion and early.query_tower.head is None
    assert (early.candidate_tower.fusion.hidden_dims, early.query_tower.fusion.hidden_dims) == ((7,), (9, 5))
    assert early.candidate_tower.fusion.dropout == early.query_tower.fusion.dropout == 0.125
    late, hybrid = build(fusion="late"), build(fusion="hybrid", hidden_dims=[7])
    assert type(late.candidate_tower.fusion) is LateFusion and type(hybrid.candidate_tower.fusion) is HybridFusion
    for model, num_blocks in ((late, 8), (hybrid, 9)):  # the id, seven features, and the fused one
        assert type(model.query_tower.head) is LateQueryHead
        assert model.build_towers() == num_blocks * 8


def test_unit_vectors():
    unit = build(normalize=True)
    assert unit.query_tower.normalize and unit.candidate_tower.normalize
    late = build(fusion="late", normalize=True)  # its blocks are unit vectors already
    assert not late.query_tower.normalize and not late.candidate_tower.normalize


def test_scores_of_unit_vectors_are_sharpened():
    assert build().temperature == 1.0
    assert build(normalize=True).temperature == build(fusion="late").temperature == 0.1
    assert build(normalize=True, temperature=0.3).temperature == build(temperature=0.3).temperature == 0.3


def test_the_loss_fits_the_size_of_the_catalogue(monkeypatch):
    assert build().loss_name == "multinomial"
    monkeypatch.setattr(loss_choice, "FULL_SOFTMAX_LIMIT", NUM_CANDIDATES)
    assert build().loss_name == "multinomial"
    monkeypatch.setattr(loss_choice, "FULL_SOFTMAX_LIMIT", NUM_CANDIDATES - 1)
    model = build()
    assert model.loss_name == "sampled_softmax" and model.history_tower is None
    assert build(loss="full_softmax").loss_name == "full_softmax"


def test_frequencies_are_counted_where_the_batch_is_known():
    counted = build(loss="sampled_softmax", global_batch_size=16)
    assert counted.streaming_frequency is None
    assert build(loss="sampled_softmax", global_batch_size=16, count_frequencies=False).streaming_frequency is not None
    assert build(loss="sampled_softmax").streaming_frequency is not None
    assert build(loss="multinomial", global_batch_size=16).streaming_frequency is None
    np.testing.assert_array_equal(build()._candidate_mask, np.array(statistics().candidate_counts) > 0)


def test_negatives_arrive():
    model = build(loss="bpr", negatives="popularity", num_negatives=9, hard_negatives=3, mask_known_positives=True)
    assert model.negatives == NegativeOptions("popularity", 9, 3, True)
    assert model.history_tower is None and model.needs_catalogue and model.negative_sampler.num_negatives == 9
    assert build().negatives == NegativeOptions() and build().negative_sampler is None
    of_stream = build(loss="sampled_softmax", negatives="mixed", count_frequencies=False)
    assert of_stream.streaming_frequency is not None
    assert of_stream.negative_sampler.num_drawable == (np.array(statistics().candidate_counts) > 0).sum()
    # what is drawn is corrected by how it is drawn: there is nothing to count
    drawn = build(loss="sampled_softmax", negatives="uniform", count_frequencies=False)
    assert drawn.streaming_frequency is None
    assert drawn.negative_sampler.num_drawable == (np.array(statistics().candidate_counts) > 0).sum()


def test_the_content_weight_arrives():
    assert build(content_weight=0.25).content_weight == 0.25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be positive, got 0.0"),
        ({"fusion": "middle"}, "fusion must be one of early, late, hybrid.*, got 'middle'"),
        ({"loss": "warp"}, "loss must be one of sampled_softmax, full_softmax, multinomial, bpr, hinge, got 'warp'"),
        ({"loss": "bpr", "negatives": "easy"}, "negatives must be one of in_batch, uniform, popularity, mixed"),
        ({"loss": "bpr", "history": False, "mask_known_positives": True}, "reads the query's history"),
        ({"candidate_id": False, "content": False}, "needs at least one encoder"),
        ({"query_id": False, "query_features": False, "history": False}, "query_tower needs at least one encoder"),
        ({"query_id": False, "query_features": False, "schema": with_history(None)}, "query_tower needs at least one"),
        ({"identifier_dropout": 1.0}, r"identifier dropout must lie in \[0, 1\), got 1.0"),
        ({"dim": 0}, "must be at least 1"),
        (
            {"pretrained": {"price": "handle"}},
            "pretrained: price is of kind number, but they are for text, image, audio and video",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        build(**options)


def test_a_history_may_be_longer():
    assert build(with_history(HistorySchema(length=9))).query_tower.encoders["history"].length == 9


def test_graphs_are_of_fixed_content_and_of_candidates_that_say_their_rows():
    model = build(fusion="graph")
    chosen = np.count_nonzero(statistics().candidate_counts)
    fusion = model.candidate_tower.fusion
    assert (fusion.graphs, fusion.num_reference) == (("look", "photo", "title"), chosen)
    assert isinstance(model.candidate_tower.encoders["id"], GraphIdentifier)
    assert build(fusion="graph", candidate_id=False).candidate_tower.fusion.num_reference == NUM_CANDIDATES
    assert build(fusion="graph_concat").candidate_tower.fusion.aggregation == "concat"
    assert build(fusion="graph_attention").candidate_tower.fusion.aggregation == "attention"
    with pytest.raises(UsageError, match="fusion=graph keeps content as its encoders give it; leave out the alignment"):
        build(fusion="graph", alignment=("contrastive",))


def test_content_without_ids_has_its_whole_length_unless_told_otherwise():
    for given, expected in (({}, 1.0), ({"content_scale": 0.5}, 0.5)):
        model = build_content_only(catalogue().schema, statistics(), dim=8, feature_dim=6, **given)
        assert model.candidate_tower.fusion.scale == expected
        assert "id" not in model.candidate_tower.encoders and "id" not in model.query_tower.encoders
