import numpy as np
import pytest

from tfmmrec.serving.request_rows import batches, split_rows
from tfmmrec.serving.server_error import ServerError
from tfmmrec.serving.signature_info import SignatureInfo, TensorInfo
from tfmmrec.types import UsageError


def _text(*shape, default=None):
    return TensorInfo(np.dtype(object), shape, default)


SIGNATURE = SignatureInfo(
    {
        "id": _text(),
        "words": _text(3, default=np.array([[b"", b"", b""]], object)),
        "k": TensorInfo(np.dtype(np.int32), (), np.array([10], np.int32)),
        "least": TensorInfo(np.dtype(np.float32), (), np.array([-np.inf], np.float32)),
        "vector": TensorInfo(np.dtype(np.float32), (2,), np.zeros([1, 2], np.float32)),
        "free": TensorInfo(np.dtype(np.float32), (None,), np.zeros([1, 0], np.float32)),
    },
    {},
)


def _only(rows):
    ((inputs, count),) = batches("s", SIGNATURE, rows, 100)
    assert count == len(rows)
    return inputs


def test_every_input_is_there_for_every_row():
    inputs = _only([{"id": "a", "k": 3, "words": ["x", b"y"]}, {"id": b"\xff", "vector": [1, 2.5]}])
    assert inputs["id"].tolist() == [b"a", b"\xff"]
    assert inputs["words"].tolist() == [[b"x", b"y", b""], [b"", b"", b""]]
    assert inputs["k"].tolist() == [3, 10] and inputs["k"].dtype == np.int32
    assert inputs["least"].tolist() == [-np.inf, -np.inf]
    assert inputs["vector"].tolist() == [[0, 0], [1, 2.5]] and inputs["vector"].dtype == np.float32
    assert inputs["free"].shape == (2, 0)


def test_gaps_of_a_list_close_up_and_one_word_is_a_list():
    assert _only([{"id": "a", "words": ["", "x", ""]}])["words"].tolist() == [[b"x", b"", b""]]
    assert _only([{"id": "a", "words": "xy"}])["words"].tolist() == [[b"xy", b"", b""]]


def test_as_few_requests_as_the_size_allows():
    rows = [{"id": str(place)} for place in range(7)]
    found = list(batches("s", SIGNATURE, rows, 3))
    assert [count for _, count in found] == [3, 3, 1]
    assert [id for inputs, _ in found for id in inputs["id"]] == [b"0", b"1", b"2", b"3", b"4", b"5", b"6"]
    assert list(batches("s", SIGNATURE, [], 3)) == []


WRONG = [
    ([{"id": "a", "other": 1}], "s takes free, id, k, least, vector, words; not other"),
    ([{"id": "a"}, {"k": 1}], "s needs id, which row 1 lacks"),
    ({"id": "a"}, r"s takes a list of rows, .*; got a single mapping: put it in brackets, \[{...}\]"),
    ("a", "s takes a list of rows, each a mapping of values by input; got 'a'"),
    ([{"id": "a"}, "b"], "got 'b'"),
    ([{"id": "a", "words": 3}], "words takes a list of texts, got 3"),
    ([{"id": 3}], "id takes text or bytes, got 3"),
    ([{"id": "a", "words": ["x"] * 4}], "words takes at most 3 entries, got 4"),
    ([{"id": "a", "k": 1.5}], "k must be int32, got 1.5"),
    ([{"id": "a", "k": "one"}], "k must be int32, got 'one'"),
    ([{"id": "a", "k": 2**40}], "k must be int32, got"),
    ([{"id": "a", "k": [1]}], r"k must have the shape \[\], got \[1\]"),
    ([{"id": "a", "vector": [1, 2, 3]}], r"vector must have the shape \[2\], got \[3\]"),
    ([{"id": "a", "vector": [[1], [1, 2]]}], "vector must be float32"),
    ([{"id": "a", "free": [1]}, {"id": "b", "free": [1, 2]}], "free must have the same shape in every row"),
]


@pytest.mark.parametrize(("rows", "words"), WRONG)
def test_rows_that_do_not_fit(rows, words):
    with pytest.raises(UsageError, match=words):
        list(batches("s", SIGNATURE, rows, 100))


PAIRS = SignatureInfo(
    {
        "query_id": _text(),
        "query_age": TensorInfo(np.dtype(np.float32), (), np.array([np.nan], np.float32)),
        "history": _text(2, default=np.array([[b"", b""]], object)),
        "candidate_name": _text(),
        "candidate_price": TensorInfo(np.dtype(np.float32), ()),
        "candidate_look": TensorInfo(np.dtype(np.float32), (2,)),
        "candidate_tags": _text(2),
        "k": TensorInfo(np.dtype(np.int32), (), np.array([10], np.int32)),
    },
    {},
)


def test_of_one_query_or_candidate_what_is_not_known_is_missing():
    rows = [
        {"history": ["h"], "candidate_tags": ["t"]},
        {"query_age": 3.0, "candidate_price": 2.5},
        {"query_id": "q", "candidate_look": [1, 2]},
    ]
    ((inputs, _),) = batches("s", PAIRS, rows, 100)
    assert inputs["query_id"].tolist() == [b"", b"", b"q"]
    assert inputs["candidate_name"].tolist() == [b"", b"", b""]
    np.testing.assert_array_equal(inputs["candidate_price"], np.array([np.nan, 2.5, np.nan], np.float32))
    assert inputs["candidate_look"].tolist() == [[0, 0], [0, 0], [1, 2]]
    assert inputs["candidate_tags"].tolist() == [[b"t", b""], [b"", b""], [b"", b""]]
    with pytest.raises(UsageError, match="s needs one of history, query_age, query_id, which row 0 lacks"):
        list(batches("s", PAIRS, [{"candidate_name": "c", "k": 3}], 100))
    names = "candidate_look, candidate_name, candidate_price, candidate_tags"
    with pytest.raises(UsageError, match=f"s needs one of {names}, which row 1 lacks"):
        list(batches("s", PAIRS, [{"query_id": "q", "candidate_name": "c"}, {"query_id": "q"}], 100))


def test_what_fills_candidates_up_is_left_out():
    outputs = {
        "candidate_ids": np.array([["é".encode(), b"b", b""], [b"", b"", b""], [b"c", b"d", b"e"]], object),
        "scores": np.array([[3, 2, -np.inf], [-np.inf] * 3, [3, 2, 1]], np.float32),
        "source": np.array([b"query"] * 3, object),
    }
    first, none, whole = split_rows(outputs, 3, "here")
    assert first["candidate_ids"].tolist() == ["é", "b"] and first["scores"].tolist() == [3, 2]
    assert none["candidate_ids"].tolist() == none["scores"].tolist() == [] and none["source"] == "query"
    assert whole["candidate_ids"].tolist() == ["c", "d", "e"] and whole["scores"].tolist() == [3, 2, 1]
    (empty,) = split_rows({"candidate_ids": np.empty([1, 0], object), "scores": np.empty([1, 0])}, 1, "here")
    assert empty["candidate_ids"].tolist() == []


def test_bytes_that_are_no_text_stay_bytes():
    outputs = {"a": np.array([[b"\xff"]], object), "b_bytes": np.array([b"x"], object), "c": np.zeros([1, 2])}
    (row,) = split_rows(outputs, 1, "here")
    assert row["a"].tolist() == [b"\xff"] and row["b_bytes"] == b"x" and row["c"].tolist() == [0, 0]


def test_answers_row_by_row():
    outputs = {"ids": np.array([[b"a", b"b"], [b"c", b""]], object), "source": np.array([b"x", b"y"], object)}
    first, second = split_rows(outputs, 2, "here")
    assert first["ids"].tolist() == ["a", "b"] and second["source"] == "y"
    assert second["ids"].tolist() == ["c", ""], "only candidates are known to be filled up"
    with pytest.raises(ServerError, match="3 rows were sent, ids came back as"):
        split_rows(outputs, 3, "here")
