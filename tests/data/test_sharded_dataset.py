import pickle

import pytest

from tfmmrec.data.config import parse_schema
from tfmmrec.data.sharded_dataset import ShardedDataset, log_columns, table_columns
from tfmmrec.types import DataError, UsageError

WHOLE = """\
interactions: {path: "log-*.csv", query: q, candidate: c, rating: stars, positive: "stars >= 4"}
candidates: {path: c.csv, id: id, display: [name, shown], features: {name: {kind: text, column: title}}}
queries: {ids: {range: 9}}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dataset.yaml").write_text(WHOLE)
    for number in (1, 0):
        (tmp_path / f"log-{number}.csv").write_text("q,c,stars\na,b,5\n")
    (tmp_path / "c.csv").write_text("id,title,shown\nb,B,\n")
    return tmp_path


def test_files_and_what_they_are_for(folder, tmp_path):
    found = ShardedDataset.open(folder, None, tmp_path / "to")
    assert found.log == (("path", "log-0.csv"), ("path", "log-1.csv"))
    assert found.tables == {"candidates": ("c.csv",), "queries": ()}
    assert found.parts == ("train", "valid", "test") and found.num_partitions == 8
    assert [found.source(side) for side in ("candidates", "queries")] == ["c.csv", "queries.ids (range: 9)"]
    assert found.is_fixed("queries") and found.is_fixed("candidates")
    assert pickle.loads(pickle.dumps(found)) == found
    assert found.table("c.csv", "candidates.path").column_names() == ["id", "title", "shown"]


def test_ready_made_parts(folder, tmp_path):
    (folder / "dataset.yaml").write_text("interactions: {train: log-1.csv, test: log-0.csv, query: q, candidate: c}")
    found = ShardedDataset.open(folder, None, tmp_path)
    assert found.log == (("train", "log-1.csv"), ("test", "log-0.csv")) and found.parts == ("train", "test")
    assert not found.is_fixed("queries")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("stars >= 4", "score >= 4", "log-[*].csv: no column 'score'"),
        ("column: title", "column: text", "c.csv: no column 'text'"),
        ("log-*", "lag-*", "`interactions.path`: no file 'lag-[*].csv'"),
        ("{range: 9}}", "{range: 9}, features: {v: {kind: vector, path: v.npy}}}", "no file 'v.npy'"),
    ],
)
def test_what_is_wrong_is_said_before_any_row_is_read(folder, tmp_path, old, new, message):
    (folder / "dataset.yaml").write_text(WHOLE.replace(old, new))
    with pytest.raises(DataError, match=message):
        ShardedDataset.open(folder, None, tmp_path)


def test_a_shard_has_queries(folder, tmp_path):
    with pytest.raises(UsageError, match="queries_per_shard must be at least 1, got 0"):
        ShardedDataset.open(folder, None, tmp_path, 0)


def test_columns():
    schema = parse_schema(
        {
            "interactions": {
                "path": "x",
                "query": "q",
                "candidate": "c",
                "timestamp": "t",
                "weight": "w",
                "features": {"hour": {"kind": "number", "column": "t"}, "device": {"kind": "category"}},
            },
            "candidates": {
                "path": "y",
                "id": "c",
                "display": ["a", "b"],
                "features": {"a": {"kind": "text", "column": "b"}},
            },
        }
    )
    assert log_columns(schema.interactions) == ["q", "c", "t", "w", "device"]
    assert table_columns(schema.candidates, ["c", "b"]) == ["c", "b"]
    assert table_columns(schema.candidates, ["a", "c", "b"]) == ["c", "b", "a"]
