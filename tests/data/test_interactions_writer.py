import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfmmrec.data import interactions_writer
from tfmmrec.data.interactions_writer import InteractionsWriter
from tfmmrec.data.issues import Issues
from tfmmrec.types import DataError


def write(path, rows, **options):
    """Writes rows of (query, candidate, rating, milliseconds), two at a time."""
    issues = Issues()
    writer = InteractionsWriter(path, "who", "what", issues, **options)
    for start in range(0, len(rows), 2):
        queries, candidates, ratings, times = zip(*rows[start : start + 2], strict=True)
        lines = np.arange(start, start + len(queries)) + 1
        arrays = [pa.array(values, pa.string()) for values in (queries, candidates)]
        writer.add("log", lines, *arrays, np.array(ratings, float), np.array(times, float))
    writer.finish()
    return writer, issues.all


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.parquet"


def test_rows_stay_in_order_with_their_types(path, monkeypatch):
    monkeypatch.setattr(interactions_writer, "_GROUP_ROWS", 3)
    rows = [
        ("007", "a", 3.5, 1_000),
        ("7", "b", 1.0, 2_500),
        ("007", "b", 2.0, 0),
        (" 8 ", "a", 5.0, -1),
        ("8", "c", 1, 9),
    ]
    writer, issues = write(path, rows)
    table = pq.read_table(path)
    assert table.schema.types == [pa.string(), pa.string(), pa.float32(), pa.timestamp("ms")]
    assert table["who"].to_pylist() == ["007", "7", "007", "8", "8"], "leading zeros stay, blanks do not"
    assert table["rating"].to_pylist() == [3.5, 1.0, 2.0, 5.0, 1.0]
    assert table["timestamp"].cast(pa.int64()).to_pylist() == [1_000, 2_500, 0, -1, 9]
    assert (writer.num_rows, issues) == (5, [])
    assert writer.queries.ids.to_pylist() == ["007", "7", "8"] and writer.candidates.ids.to_pylist() == ["a", "b", "c"]


def test_rows_that_lack_something_are_counted_and_left_out(path):
    nan = np.nan
    rows = [
        ("q", "a", 1, 1),
        ("", "a", 1, 1),
        ("q", None, 1, 1),
        ("q", "a", nan, 1),
        ("q", "a", 1, nan),
        ("q", "b", 1, 1e30),
    ]
    writer, (issue,) = write(path, rows)
    assert (writer.num_rows, pq.read_table(path).num_rows) == (1, 1)
    assert (issue.kind, issue.where, issue.count, issue.example) == ("broken line, left out", "log", 5, "line 2")


CHAIN = [
    ("q0", "a", 5, 1),
    ("q0", "b", 5, 2),
    ("q1", "a", 5, 3),
    ("q1", "b", 5, 4),
    ("q2", "b", 5, 5),
    ("q2", "c", 5, 6),
]


def test_the_core_is_left(path, monkeypatch):
    monkeypatch.setattr(interactions_writer, "_GROUP_ROWS", 2)
    writer, _ = write(path, CHAIN, core=2)
    table = pq.read_table(path)
    assert table["who"].to_pylist() == ["q0", "q0", "q1", "q1"] and table["what"].to_pylist() == ["a", "b", "a", "b"]
    assert writer.num_rows == 4 and list(path.parent.iterdir()) == [path]
    assert writer.queries.ids.to_pylist() == ["q0", "q1"] and writer.candidates.ids.to_pylist() == ["a", "b"]


def test_only_choices_count_for_the_core_but_other_ratings_of_those_who_stay_are_kept(path):
    rows = [*CHAIN[:4], ("q2", "a", 2, 5), ("q2", "b", 2, 6), ("q1", "a", 1, 7)]
    _, _ = write(path, rows, core=2, min_rating=4)
    assert pq.read_table(path)["timestamp"].cast(pa.int64()).to_pylist() == [1, 2, 3, 4, 7]


def test_nothing_left(path):
    with pytest.raises(DataError, match="nobody and nothing has 3 interactions with others that do; lower core"):
        write(path, CHAIN, core=3)
    with pytest.raises(DataError, match="none of the 6 ratings is at least 6; lower min_rating"):
        write(path, CHAIN, min_rating=6)


def test_a_log_without_rows(path):
    writer, _ = write(path, [], core=2, min_rating=1)
    assert writer.num_rows == 0 and pq.read_table(path).num_rows == 0
