import gzip

import pytest

from tfmmrec.data import csv_format
from tfmmrec.data.csv_format import column_names, record_batches
from tfmmrec.types import DataError


def read(path, columns):
    found = {name: [] for name in columns}
    for batch in record_batches(path, path.name, columns):
        for name in columns:
            found[name] += batch.column(name).to_pylist()
    return found


@pytest.fixture
def write(tmp_path):
    def write(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refused(path, message, columns=("a", "b")):
    with pytest.raises(DataError) as caught:
        read(path, list(columns))
    assert message in str(caught.value)


def test_everything_is_a_string_and_empty_is_null(write):
    path = write('\ufeffa,b\n007,""\n1.50," x, ""y""\nz"\n')
    assert column_names(path, "t.csv") == ["a", "b"]
    assert read(path, ["a", "b"]) == {"a": ["007", "1.50"], "b": [None, ' x, "y"\nz']}


def test_a_header_alone_has_no_rows(write):
    assert read(write("a,b\n"), ["a"]) == {"a": []}


def test_ragged_rows_name_row_and_fields(write):
    refused(write('a,b\n1,"x\ny"\n3,4,5\n'), "t.csv, row 2: expected 2 fields as in the header, found 3")
    refused(
        write("a,b\n" + "1,2\n" * 500_000 + "3\n"),
        "t.csv, row 500001: expected 2 fields as in the header, found 1",
    )


def test_not_utf8_names_line_byte_and_position(write):
    refused(
        write(b"a,b\n1,2\n3,caf\xe9\n"),
        "t.csv, line 3: not UTF-8, byte 0xe9 at position 13; save the file as UTF-8",
    )
    content = b"a,b\n" + b"1,\xc3\xa4\n" * 300_000 + b"1,\xff\n"  # the bad byte lies in a later block
    refused(write(content), f"t.csv, line 300002: not UTF-8, byte 0xff at position {len(content) - 2}")
    refused(write(b"a,b\n" + b"1,2\n" * 9 + b"3,\xc3"), "t.csv: not UTF-8 at its end")
    with pytest.raises(DataError, match="t.csv, line 1: not UTF-8, byte 0xfc"):
        column_names(write(b"a,\xfc\n1,2\n"), "t.csv")
    with pytest.raises(DataError, match="t.csv: not UTF-8 but UTF-16"):
        column_names(write("a,b\n1,2\n".encode("utf-16")), "t.csv")


def test_an_open_quote_is_refused_instead_of_eating_the_rest(write):
    refused(write('a,b\n1,2\n3,"4\n5,6\n7,8\n'), "t.csv, row 2: a quotation mark is opened and never closed")


def test_a_long_row_is_read_with_larger_blocks(write):
    path = write("a,b\n" + "1,2\n" * 300_000 + "3," + "x" * 2_000_000 + "\n4,5\n")
    found = read(path, ["a", "b"])
    assert len(found["a"]) == 300_002 and found["a"][-2:] == ["3", "4"]
    assert len(found["b"][-2]) == 2_000_000


def test_a_row_beyond_all_bounds_is_refused(write, monkeypatch):
    monkeypatch.setattr(csv_format, "_BLOCK_BYTES", (64, 128))
    refused(write("a,b\n1," + "x" * 1000 + "\n"), "t.csv, row 1: a row of more than 128 bytes; is a quote open?")


def test_empty_and_damaged_files(write):
    with pytest.raises(DataError, match="t.csv: the file is empty; expected a header"):
        column_names(write(""), "t.csv")
    cut = gzip.compress(b"a,b\n" + bytes(range(32, 126)) * 1000)[:-50]
    with pytest.raises(DataError, match="t.csv.gz.*not readable"):
        read(write(cut, "t.csv.gz"), ["a"])
    with pytest.raises(DataError, match="t.csv.gz: not readable"):
        column_names(write(b"a,b\n1,2\n", "t.csv.gz"), "t.csv.gz")
