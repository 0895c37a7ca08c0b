import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfmmrec.data import interaction_log, interactions, readers, storage
from tfmmrec.data.ids import IdIndex
from tfmmrec.data.interaction_log import InteractionLog
from tfmmrec.data.issues import Issues
from tfmmrec.data.readers import FrameTable
from tfmmrec.schema import InteractionsSchema
from tfmmrec.types import DataError


def build(frame, queries=None, candidates=None, **keys):
    schema = InteractionsSchema(query="u", candidate="i", **keys)
    issues = Issues()
    indexes = [
        IdIndex() if ids is None else IdIndex(pa.array(ids), fixed=True, source=source)
        for ids, source in ((queries, "users.csv"), (candidates, "items.csv"))
    ]
    log = InteractionLog(schema, *indexes, {}, issues).read(FrameTable(frame, "log.csv"))
    return log.finish(), issues.all, [index.ids.to_pylist() for index in indexes]


def refused(message, frame, **keys):
    with pytest.raises(DataError) as caught:
        build(pd.DataFrame(frame), **keys)
    assert message in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=80),
    st.booleans(),
    st.integers(1, 30),
)
def test_rows_are_a_groupby(rows, timed, block_rows):
    frame = pd.DataFrame(rows, columns=["u", "i", "t"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "BATCH_ROWS", 7)
        patch.setattr(interactions, "BLOCK_ROWS", block_rows)
        patch.setattr(interaction_log, "BLOCK_ROWS", block_rows)
        patch.setattr(storage, "IN_MEMORY_BYTES", 0)
        log, issues, (queries, candidates) = build(frame, **({"timestamp": "t"} if timed else {}), rating="t")
    assert queries == [str(value) for value in frame["u"].unique()]  # in order of appearance
    assert candidates == [str(value) for value in frame["i"].unique()]
    ordered = frame.sort_values("t", kind="stable") if timed else frame
    groups = {str(query): group for query, group in ordered.groupby("u")}
    assert log.num_rows == len(frame) and log.num_queries == len(groups) and not issues
    for row, query in enumerate(queries):
        assert [candidates[c] for c in log.candidates_of(row)] == groups[query]["i"].astype(str).tolist()
        part = slice(log.indptr[row], log.indptr[row + 1])
        assert log.columns["rating"][part].tolist() == groups[query]["t"].tolist()
    assert log.indptr.dtype == np.int64 and log.indices.dtype == np.int32


def test_rows_of_a_table_without_interactions_are_empty():
    log, _, _ = build(pd.DataFrame({"u": ["b"], "i": ["y"]}), ["a", "b", "c"], ["x", "y"])
    assert log.indptr.tolist() == [0, 0, 1, 1] and log.num_candidates == 2


def test_unknown_ids_are_skipped_and_counted():
    frame = pd.DataFrame({"u": ["a", "q", "a", "a", None], "i": ["x", "x", "9", "9", "x"]})
    log, issues, _ = build(frame, ["a"], ["x"])
    assert log.num_rows == 1
    assert [(issue.kind, issue.count, issue.example) for issue in issues] == [
        ("interaction without an id", 1, "log.csv, row 5"),
        ("unknown query id", 1, "log.csv, row 2: 'q'"),
        ("unknown candidate id", 2, "log.csv, row 3: '9'"),
    ]
    assert issues[2].where == "log.csv, no row in items.csv"


def test_a_skipped_row_teaches_no_ids():
    frame = pd.DataFrame({"u": ["a", "b"], "i": ["x", None], "r": [5, 5]})
    log, _, (queries, _) = build(frame)
    assert log.num_rows == 1 and queries == ["a"]


def test_all_unknown_is_an_error():
    message = "log.csv: none of the 2 interactions has both its ids in the tables; log.csv, row 1: '1.0' has no"
    refused(message, {"u": ["a", "a"], "i": ["1.0", "2.0"]}, queries=["a"], candidates=["1", "2"])


def test_positive_keeps_what_satisfies_it():
    frame = pd.DataFrame({"u": ["a", "b", "c", "d"], "i": ["x", "y", "z", "w"], "r": [5, 3, 4, None]})
    log, issues, (queries, candidates) = build(frame, positive="r >= 4", rating="r")
    assert queries == ["a", "c"] and candidates == ["x", "z"]
    assert log.columns["rating"].tolist() == [5, 4] and log.columns["rating"].dtype == np.float32
    assert [(issue.kind, issue.count) for issue in issues] == [("interaction without a number to judge it by", 1)]
    refused("log.csv: none of the 4 interactions satisfies 'r > 5'", frame, positive="r > 5")


@pytest.mark.parametrize(("operator", "kept"), [(">=", 2), ("<=", 2), (">", 1), ("<", 1), ("==", 1), ("!=", 2)])
def test_every_comparison(operator, kept):
    frame = pd.DataFrame({"u": list("abc"), "i": list("xyz"), "r": [1, 2, 3]})
    assert build(frame, positive=f"r {operator} 2")[0].num_rows == kept


def test_weights():
    frame = pd.DataFrame({"u": ["a"] * 3, "i": list("xyz"), "w": [0.5, None, np.inf]})
    log, issues, _ = build(frame, weight="w")
    assert log.columns["weight"].tolist() == [0.5, 1, 1]
    assert [(issue.kind, issue.count, issue.example) for issue in issues] == [
        ("infinite number, taken as missing", 1, "log.csv, row 3"),
        ("interaction without a weight, taken as 1", 2, "log.csv, row 2"),
    ]
    refused(
        "log.csv, row 1, column 'w': a weight must not be negative, found -1",
        {"u": ["a"], "i": ["x"], "w": [-1]},
        weight="w",
    )


def test_context_features():
    frame = pd.DataFrame({"u": ["a"] * 3, "i": list("xyz"), "hour": [1, None, 3], "app": ["web", None, "web"]})
    features = {"hour": {"kind": "number"}, "device": {"kind": "category", "column": "app"}}
    log, _, _ = build(frame, features=features)
    np.testing.assert_array_equal(log.columns["hour"], np.array([1, np.nan, 3], np.float32))
    assert log.columns["device"].tolist() == [0, -1, 0]
    assert log.vocabularies["device"].to_pylist() == ["web"]
    lists = {"u": ["a"], "i": ["x"], "hour": [1], "app": [["p", "q"]]}
    refused("log.csv, row 1, column 'app': an interaction's feature has one value a row", lists, features=features)


def test_bad_tables_are_refused():
    refused("log.csv: no column 'i'; it has 'u', 'item'", {"u": ["a"], "item": ["x"]})
    refused("log.csv: no interactions; expected at least one row", {"u": [], "i": []})
    refused("log.csv, row 1, column 'u': ids must be strings or integers", {"u": [1.0], "i": ["x"]})
    refused(
        "log.csv, row 2, column 't': expected a number",
        {"u": ["a"] * 2, "i": ["x"] * 2, "t": ["1", "x"]},
        timestamp="t",
    )


def test_two_parts_share_their_ids():
    schema, issues = InteractionsSchema(query="u", candidate="i"), Issues()
    queries, candidates, vocabularies = IdIndex(), IdIndex(), {}
    frames = {"train": {"u": ["a", "b"], "i": ["x", "y"]}, "test": {"u": ["c"], "i": ["x"]}}
    logs = [
        InteractionLog(schema, queries, candidates, vocabularies, issues).read(FrameTable(pd.DataFrame(frame), part))
        for part, frame in frames.items()
    ]
    train, test = (log.finish() for log in logs)
    assert train.indptr.tolist() == [0, 1, 2, 2] and test.indptr.tolist() == [0, 0, 0, 1]
    assert test.indices.tolist() == [0] and train.num_candidates == test.num_candidates == 2
