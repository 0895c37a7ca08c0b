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


def test_answers_row_by_row():
    outputs = {"ids": np.array([[b"a", b"b"], [b"c", b""]], object), "source": np.array([b"x", b"y"], object)}
    first, second = split_rows(outputs, 2, "here")
    assert first["ids"].tolist() == [b"a", b"b"] and second["source"] == b"y"
    with pytest.raises(ServerError, match="3 rows were sent, ids came back as"):
        split_rows(outputs, 3, "here")
