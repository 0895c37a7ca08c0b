import pytest

from tfmmrec.data.jsonl_format import column_names, record_batches
from tfmmrec.types import DataError


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "t.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refused(path, message):
    with pytest.raises(DataError) as caught:
        list(record_batches(path, "t.jsonl", column_names(path, "t.jsonl")))
    assert message in str(caught.value)


def test_missing_keys_are_null_and_blank_lines_nothing(write):
    path = write('{"a": "x", "b": ["p", "q"]}\n\n{"c": 1.5, "a": null}\n')
    assert column_names(path, "t.jsonl") == ["a", "b", "c"]
    (batch,) = record_batches(path, "t.jsonl", ["c", "a", "b"])
    assert batch.to_pydict() == {"c": [None, 1.5], "a": ["x", None], "b": [["p", "q"], None]}


def test_batches_follow_each_other(write):
    path = write("".join(f'{{"a": {number}}}\n' for number in range(40_000)))
    batches = list(record_batches(path, "t.jsonl", ["a"]))
    assert len(batches) > 1
    assert [value for batch in batches for value in batch.column("a").to_pylist()] == list(range(40_000))


def test_bad_lines_are_named(write):
    refused(
        write('{"a": 1}\n{"a": \n'),
        "t.jsonl, line 2: not JSON: Expecting value; expected one JSON object a line",
    )
    refused(write('[{"a": 1}]'), "t.jsonl, line 1: found a JSON array; expected JSON Lines, one object a line")
    refused(write('[\n{"a": 1}\n]'), "t.jsonl, line 1: found a JSON array")
    refused(write('{"a": 1}\n7\n'), "t.jsonl, line 2: expected a JSON object, found int '7'")
    refused(write(b'{"a": 1}\n{"a": "\xff"}\n'), "t.jsonl, line 2: not UTF-8 at byte 7 of the line")
    refused(
        write('{"a": 1}\n{"a": {}}\n'),
        "t.jsonl, row 2, column 'a': expected a whole number like in the rows before",
    )
    refused(write(""), "t.jsonl: the file is empty; expected one JSON object a line")
