from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pyarrow as pa
import pytest

from tfmmrec.data import raw_lines
from tfmmrec.data.issues import Issues
from tfmmrec.data.raw_lines import as_number, count_broken, first_line, read_fields, read_objects, to_floats
from tfmmrec.types import DataError


def fields(path, separator, number, header=False):
    """All rows as tuples with their line before them, and what was counted."""
    issues, found = Issues(), []
    for rows in read_fields(path, separator, number, issues, header=header):
        found += list(zip(rows.lines.tolist(), *(column.to_pylist() for column in rows.columns), strict=True))
    return found, [(issue.kind, issue.where, issue.count, issue.example) for issue in issues.all]


def test_fields_of_several_signs_between_them(tmp_path):
    path = tmp_path / "a.dat"
    path.write_bytes(b"1::a::x\r\n\n02::b:c::y")
    assert fields(path, "::", 3) == ([(1, "1", "a", "x"), (3, "02", "b:c", "y")], [])


def test_broken_lines_are_counted_and_the_rest_survives(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,value\n1,2\n3\n4,5,6\n7,8\n")
    rows, issues = fields(path, ",", 2, header=True)
    assert rows == [(2, "1", "2"), (5, "7", "8")]
    assert issues == [("broken line, left out", "a.csv", 2, "line 3: '3'")]


def test_lines_that_are_not_utf8_are_latin1(tmp_path):
    path = tmp_path / "a.dat"
    path.write_bytes("1::Misérables\n".encode("latin-1") + "2::Amélie\n".encode())
    assert fields(path, "::", 2)[0] == [(1, "1", "Misérables"), (2, "2", "Amélie")]


def test_a_mark_of_utf8_and_strange_line_signs_are_no_lines(tmp_path):
    path = tmp_path / "a.dat"
    path.write_bytes("\ufeff1::a\u2028b\x85c\n2::d\n".encode())
    assert fields(path, "::", 2)[0] == [(1, "1", "a\u2028b\x85c"), (2, "2", "d")]
    assert first_line(path) == "1::a\u2028b\x85c"


def test_pieces_follow_each_other_and_progress_ends_at_the_size(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_lines, "PIECE_BYTES", 100)
    path, told, lines = tmp_path / "a.csv.gz", [], []
    with gzip.open(path, "wt") as file:
        file.write("".join(f"{number},x\n" for number in range(1000)))
    for rows in read_fields(path, ",", 2, Issues(), lambda *what: told.append(what)):
        assert len(rows.lines) < 100
        lines += [(line, value) for line, value in zip(rows.lines, rows.columns[0].to_pylist(), strict=True)]
    assert lines == [(number + 1, str(number)) for number in range(1000)]
    size = path.stat().st_size
    assert told[-1] == ("a.csv.gz, bytes read", size, size) and all(done < size for _, done, _ in told[:-1])


def test_a_cut_archive_is_refused(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"1,2\n" * 100_000)[:-20])
    with pytest.raises(DataError, match=r"a\.csv\.gz, after line \d+: not readable: .*; download the file again"):
        list(read_fields(path, ",", 2, Issues()))


def test_objects_one_a_line(tmp_path):
    path, issues = tmp_path / "a.json", Issues()
    path.write_text('{"a": 1}\n\n{"a": \n[1]\n{"a": "\\ud83d x", "b": "\\ud83d\\ude00"}\n')
    ((lines, objects),) = read_objects(path, issues)
    assert lines.tolist() == [1, 5]
    assert objects == [{"a": 1}, {"a": " x", "b": "\U0001f600"}], "half a pair of escapes is left out"
    (issue,) = issues.all
    assert (issue.count, issue.example) == (2, "line 3: '{\"a\": '")


def test_objects_nested_without_end_are_broken(tmp_path):
    path, issues = tmp_path / "a.json", Issues()
    path.write_text("[" * 200_000 + "\n" + json.dumps({"a": 1}) + "\n")
    ((lines, _),) = read_objects(path, issues)
    assert lines.tolist() == [2] and issues.all[0].count == 1


def test_an_empty_file_has_no_lines(tmp_path):
    (tmp_path / "a").write_text("")
    assert list(read_fields(tmp_path / "a", ",", 2, Issues(), lambda *what: None)) == []
    assert first_line(tmp_path / "a") == ""


def test_numbers():
    np.testing.assert_array_equal(to_floats(pa.array(["1", "2.5", None])), [1, 2.5, np.nan])
    np.testing.assert_array_equal(to_floats(pa.array(["1", "x", "1e3"])), [1, np.nan, 1000])
    assert [as_number(value) for value in (3, "4.5", 0.5)] == [3.0, 4.5, 0.5]
    assert all(math.isnan(as_number(value)) for value in (None, True, "x", [1], 10**400))


def test_counting_nothing_says_nothing():
    issues = Issues()
    count_broken(issues, "a", np.array([4, 9]), np.array([False, False]))
    assert not issues.all
    count_broken(issues, "a", np.array([4, 9]), np.array([False, True]))
    assert issues.all[0].example == "line 9"
