import json

import numpy as np
import pyarrow as pa
import pytest

from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.dataset_counts import DatasetCounts
from tfmmrec.data.id_numbers import place_of
from tfmmrec.data.log_shards import known_rows, read_log_file
from tfmmrec.data.packed_rows import column, numbers, unpack
from tfmmrec.data.sharded_dataset import ShardedDataset

CONFIG = """\
interactions:
  path: "log-*.csv"
  query: q
  candidate: c
  timestamp: time
  rating: stars
  weight: weight
  positive: "stars >= 2"
  features: {device: {kind: category}, hour: {kind: number}}
  split: {method: time, valid: 0, test: 0.3}
candidates: {path: candidates.csv, id: id}
"""
ROWS = [
    "a,x,2024-01-01,3,,phone,1",
    "b,y,2024-01-02,1,2,,2",  # not positive
    "b,,2024-01-03,5,1,tv,3",  # no candidate
    "c,z,2024-01-04,inf,1,phone,inf",  # no rating after all
    "b,z,2024-01-05,2,0.5,tv,",
    "d,w,2024-01-06,4,1,phone,5",  # a candidate without a row
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dataset.yaml").write_text(CONFIG)
    (tmp_path / "candidates.csv").write_text("id\nz\ny\nx\n")
    header = "q,c,time,stars,weight,device,hour\n"
    (tmp_path / "log-0.csv").write_text(header + "\n".join(ROWS) + "\n")
    (tmp_path / "log-1.csv").write_text(header + "a,z,2024-02-01,5,1,phone,0\n")
    return tmp_path


def read(folder, file=0):
    """All outputs of one file by their tags."""
    dataset, outputs = ShardedDataset.open(folder, None, folder / "to"), {}
    for tag, value in read_log_file(file, dataset):
        outputs.setdefault(tag, []).append(value)
    return dataset, outputs


def test_rows_are_those_that_the_log_keeps_before_ids_are_looked_up(folder):
    dataset, outputs = read(folder)
    assert len({partition for partition, _ in outputs["rows"]}) > 1
    table = unpack([packed for _, packed in outputs["rows"]]).sort_by("place")
    assert numbers(table, "place").tolist() == [place_of(0, row) for row in (1, 5, 6)]
    assert column(table, "query").to_pylist() == ["a", "b", "d"]
    assert column(table, "candidate").to_pylist() == ["x", "z", "w"]
    assert column(table, "context device").to_pylist() == ["phone", "tv", "phone"]
    np.testing.assert_array_equal(numbers(table, "context hour"), np.float32([1, np.nan, 5]))
    assert numbers(table, "weight").tolist() == [1.0, 0.5, 1.0]
    first = 1704067200.0  # 2024-01-01
    assert numbers(table, "timestamp").tolist() == [first, first + 4 * 86400, first + 5 * 86400]
    ids = unpack([packed for _, packed in outputs["query ids"]]).sort_by("place")
    assert column(ids, "id").to_pylist() == ["a", "b", "d"]
    assert "candidate ids" not in outputs, "they have a table"


def test_what_is_counted_is_what_the_log_counts(folder):
    local = load_dataset(folder)
    pieces = []
    for file in (0, 1):
        dataset, outputs = read(folder, file)
        pieces += outputs["counts"]
        for packed in (packed for _, packed in outputs["rows"]):
            table = unpack([packed])
            known = {"x": 2, "y": 1, "z": 0}
            rows = [known.get(id, -1) for id in column(table, "candidate").to_pylist()]
            for name, values in {"candidate_row": rows, "query_row": [0] * len(rows)}.items():
                table = table.append_column(name, pa.array(values, pa.int64()))
            pieces += [value for tag, value in known_rows(table, dataset) if tag == "counts"]
    found = DatasetCounts.merged(pieces)
    assert sorted(map(str, found.all_issues("log"))) == sorted(map(str, local.log_issues.all))
    assert len(local.log_issues.all) == 6
    assert found.counts == {
        ("read", "path"): 7,
        ("positive", "path"): 5,
        ("kept", "path"): sum(part.num_rows for part in local.parts.values()),
    }


def test_rejected_rows_say_why(folder):
    text = (folder / "log-0.csv").read_text()
    (folder / "log-0.csv").write_text(text + "e,x,someday,3,,,\ne,x,2024-01-09,many,,,\n")
    _, outputs = read(folder)
    lines = [json.loads(line) for line in outputs["rejected"]]
    assert [(line["row"], line["values"]["q"]) for line in lines] == [(3, "b"), (7, "e"), (8, "e")]
    assert lines[0]["reason"] == "interaction without an id"
    assert "row 7, column 'time': expected a number or a date" in lines[1]["reason"]
    assert "row 8, column 'stars': expected a number, found 'many'" in lines[2]["reason"]
    found = DatasetCounts.merged(outputs["counts"])
    assert (found.counts["unreadable", "path"], found.faults) == (2, ())


def test_unknown_ids_are_told_of_both_sides(folder):
    dataset, outputs = read(folder)
    table = unpack([packed for _, packed in outputs["rows"]]).sort_by("place")
    table = table.append_column("query_row", pa.array([0, -1, -1])).append_column("candidate_row", pa.array([2, 0, -1]))
    tags = list(known_rows(table, dataset))
    (known,) = (value for tag, value in tags if tag == "known")
    assert column(known, "query").to_pylist() == ["a"]
    lines = [json.loads(value) for tag, value in tags if tag == "rejected"]
    assert [line["row"] for line in lines] == [5, 6]
    assert lines[1]["reason"].endswith("unknown candidate id: 'w' has no row in candidates.csv")
    assert lines[1]["values"] == {"q": "d", "c": "w"}


def test_a_file_that_breaks_off_or_lacks_a_column_is_a_fault(folder):
    (folder / "log-1.csv").write_text("q,c,time,stars,weight,device\na,z,2024-02-01,5,1,phone\n")
    _, outputs = read(folder, 1)
    assert "log-1.csv: no column 'hour'" in outputs["counts"][0].faults[0]
    assert json.loads(outputs["rejected"][0])["row"] == 0
    (folder / "log-1.csv").write_text((folder / "log-0.csv").read_text() + "a,b\n")
    _, outputs = read(folder, 1)
    assert "log-1.csv, row 7: expected 7 fields as in the header, found 2" in outputs["counts"][-1].faults[0]
