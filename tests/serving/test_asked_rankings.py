"""The rankings of an export, against a model that answers from a table of scores as the signatures do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tfmmrec.schema import Schema
from tfmmrec.serving.asked_rankings import AskedRankings
from tfmmrec.serving.described_model import DescribedModel
from tfmmrec.serving.evaluation_queries import EvaluationQueries
from tfmmrec.serving.exported_model import ExportedModel
from tfmmrec.types import DataError

NUM_CANDIDATES = 1500


class TableOfScores(ExportedModel):
    """Answers `recommend` with the best of a table, without what it is told to leave out."""

    def __init__(self, scores: np.ndarray, history: int = 3, exclude: int = 2):
        ids = [f"c{place}" for place in range(scores.shape[1])]
        inputs = {"history": {"list_length": history}, "exclude": {"list_length": exclude}}
        schema = Schema.model_validate({"interactions": {"path": "-", "query": "q", "candidate": "c"}})
        signatures = {"recommend": {"inputs": inputs}}
        super().__init__(None, DescribedModel("table", {}, schema, signatures, pa.table({"candidate_id": ids})))
        self.scores = scores
        self.asked = []

    def ask_many(self, signature, **inputs):
        self.asked.append((signature, inputs))
        width = max(inputs["k"])
        ids, scores = np.full((len(inputs["k"]), width), b"", object), np.full((len(inputs["k"]), width), -np.inf)
        for place, query in enumerate(inputs["query_id"]):
            own = self.scores[int(query[1:])].copy()
            left_out = [int(id[1:]) for id in [*inputs["history"][place], *inputs["exclude"][place]] if id]
            own[left_out] = -np.inf
            order = np.argsort(-own, kind="stable")[:width]
            order = order[own[order] > -np.inf]
            ids[place, : order.size], scores[place, : order.size] = [b"c%d" % c for c in order], own[order]
        return {"candidate_ids": ids, "scores": scores}


def queries(histories: list[list[int]]) -> EvaluationQueries:
    ids = [f"q{place}" for place in range(len(histories))]
    seen = [[f"c{c}" for c in history] for history in histories]
    return EvaluationQueries(ids, histories=seen, positives=[["c0"]] * len(ids))


def test_what_was_seen_is_in_no_list_however_much_it_is():
    random = np.random.default_rng(0)
    scores = random.normal(size=(4, NUM_CANDIDATES))
    histories = [list(np.argsort(-scores[row])[:size]) for row, size in enumerate((0, 2, 5, 40))]  # the very best
    model = TableOfScores(scores)
    asked = AskedRankings(model, queries(histories))
    for row, head in enumerate(asked.heads(np.arange(4), 10)):
        kept = scores[row].copy()
        kept[histories[row]] = -np.inf
        expected = np.argsort(-kept)[:10]
        assert head.ids[:10] == [f"c{c}" for c in expected]
        np.testing.assert_allclose(head.scores[:10], kept[expected])
    _, sent = model.asked[0]
    assert sent["history"].shape == (4, 3) and sent["exclude"].shape == (4, 2)
    assert list(sent["history"][3]) == [f"c{c}" for c in histories[3][:3]], "as far as there is place, the first"
    assert list(sent["exclude"][2]) == [f"c{c}" for c in histories[2][3:]]
    assert set(sent["k"]) == {10 + 1 + 40 - 5}


def test_all_that_share_the_last_score_are_seen():
    """300 candidates share the 3rd place of one query; nothing of the other is shared."""
    scores = np.stack([np.arange(NUM_CANDIDATES, 0, -1.0)] * 2)
    scores[0, 2:302] = scores[0, 2]
    model = TableOfScores(scores)
    heads = AskedRankings(model, queries([[], []])).heads(np.arange(2), 5)
    assert np.sum(heads[0].scores == heads[0].scores[4]) == 300
    assert np.sum(heads[1].scores == heads[1].scores[4]) == 1
    assert [len(inputs["k"]) for _, inputs in model.asked] == [2, 1], "only that one is asked anew"


@pytest.mark.parametrize("num_added", [3, 400])
def test_what_came_after_the_queries_were_drawn_takes_no_place(num_added):
    """They are shown, and what is to be found stands as it would without them."""
    scores = np.random.default_rng(1).normal(size=(2, NUM_CANDIDATES))
    scores[:, :num_added] += 10.0
    model = TableOfScores(scores)
    asked = queries([[], []])
    asked.added_ids = [f"c{c}" for c in range(num_added)]
    for row, head in enumerate(AskedRankings(model, asked).heads(np.arange(2), 4)):
        rest = np.argsort(-scores[row, num_added:])[:4] + num_added
        assert head.ids[:4] == [f"c{c}" for c in rest]
        assert head.shown == [f"c{c}" for c in np.argsort(-scores[row])[:4]]


def test_a_catalogue_smaller_than_k():
    scores = np.array([[3.0, 2.0, 1.0]])
    head = AskedRankings(TableOfScores(scores), queries([[1]])).heads(np.arange(1), 10)[0]
    assert (head.ids, head.scores.tolist()) == (["c0", "c2"], [3.0, 1.0])


def test_scores_that_are_no_numbers():
    scores = np.full((1, 4), np.nan)
    model = TableOfScores(scores)
    model.ask_many = lambda signature, **inputs: {"candidate_ids": np.array([[b"c0"]]), "scores": scores[:, :1]}
    with pytest.raises(DataError, match="table: answers with scores that are NaN"):
        AskedRankings(model, queries([[]])).heads(np.arange(1), 1)


def test_requests_are_few_rows_where_the_catalogue_is_large():
    model = TableOfScores(np.zeros((300, 4)))
    sizes = [len(rows) for rows in AskedRankings(model, queries([[]] * 300)).batches()]
    assert sizes == [128, 128, 44]
    model.candidates = pa.table({"candidate_id": pa.nulls(2**20, pa.string())})
    rows = np.arange(5, 21)
    batches = list(AskedRankings(model, queries([[]] * 300)).batches(rows))
    assert [len(batch) for batch in batches] == [8, 8], "32 MiB are 8 rows of a million scores of 4 bytes"
    np.testing.assert_array_equal(np.concatenate(batches), rows)


def test_single_requests_are_timed():
    model = TableOfScores(np.random.default_rng(0).normal(size=(30, 10)))
    seconds = AskedRankings(model, queries([[]] * 30)).seconds(4, num_requests=8, num_before=2)
    assert seconds.shape == (8,) and (seconds > 0).all()
    assert [inputs["k"].tolist() for _, inputs in model.asked] == [[4]] * 10


STRINGS, LISTS = pa.large_string(), pa.large_list(pa.large_string())
VECTORS = pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))
TABLE = {"path": "-", "id": "q"}


def _asked(kind: str, entry: dict, column: pa.Array) -> np.ndarray:
    """What a model is sent that was trained with a feature of a kind, and takes what `entry` describes."""
    model = TableOfScores(np.zeros((len(column), 4)))
    described = model.schema.model_dump() | {
        "queries": TABLE | {"features": {"mood": {"kind": kind, "column": "mood"}}}
    }
    model.schema = Schema.model_validate(described)
    model.signatures["recommend"]["inputs"]["query_mood"] = entry
    asked = queries([[]] * len(column))
    asked.features = {"mood": column}
    return AskedRankings(model, asked).inputs(np.arange(len(column)))["query_mood"]


@pytest.mark.parametrize(
    ("kind", "entry", "column", "message"),
    [
        (
            "vector",
            {"shape": [3]},
            VECTORS,
            "takes vectors of the shape .3.*",
        ),
        ("vector", {"shape": [3]}, pa.array(["a"], STRINGS), "takes vectors .* have large_string"),
        ("number", {"shape": []}, pa.array(["a"], STRINGS), "takes numbers as the queries' mood, .* have large_string"),
        ("image", {"shape": []}, pa.array(["a"], STRINGS), "takes bytes of kind image"),
        ("category", {"shape": []}, pa.array([["a"]], LISTS), "takes strings as the queries' mood, .* have large_list"),
        ("category", {"shape": []}, pa.array([1.0], pa.float32()), "takes strings .* of another schema"),
        (
            "category",
            {"shape": [2], "list_length": 2},
            pa.array([1.0], pa.float32()),
            "takes strings or lists of these",
        ),
    ],
)
def test_queries_of_another_schema(kind, entry, column, message):
    with pytest.raises(DataError, match=f"table: {message}"):
        _asked(kind, entry, column)


def test_a_single_value_is_a_list_of_one_where_the_model_takes_lists():
    entry = {"shape": [2], "list_length": 2}
    assert _asked("category", entry, pa.array(["sad", None], STRINGS))[:, 0].tolist() == ["sad", ""]
    assert _asked("category", entry, pa.array([["sad", "slow"]], LISTS))[0, :2].tolist() == ["sad", "slow"]
    assert _asked("vector", {"shape": [2]}, VECTORS).tolist() == [[1.0, 2.0]]
