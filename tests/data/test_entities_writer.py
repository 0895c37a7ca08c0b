import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfmmrec.data.entities_writer import EntitiesWriter
from tfmmrec.data.ids import IdIndex
from tfmmrec.data.issues import Issues


def test_each_wanted_id_gets_one_row(tmp_path):
    path, issues = tmp_path / "items.parquet", Issues()
    fields = {"title": pa.string(), "tags": pa.list_(pa.string()), "price": pa.float64()}
    writer = EntitiesWriter(path, "id", fields, IdIndex(pa.array(["b", "a", "007", "z"])), issues)
    rows = {"a": "first", "x": "unknown", "007": "spy"}
    for ids in (["x", "a", "a", None], ["a", "007"]):
        new = np.flatnonzero(writer.choose("meta", ids))
        writer.add(
            {
                "id": [ids[row] for row in new],
                "title": [rows[ids[row]] for row in new],
                "tags": [["t"] for _ in new],
                "price": [None for _ in new],
            }
        )
    writer.finish()
    assert pq.read_table(path).to_pylist() == [
        {"id": "a", "title": "first", "tags": ["t"], "price": None},
        {"id": "007", "title": "spy", "tags": ["t"], "price": None},
        {"id": "b", "title": None, "tags": None, "price": None},
        {"id": "z", "title": None, "tags": None, "price": None},
    ]
    assert writer.filled == {"title": 2, "tags": 2, "price": 0} and writer.num_described == 2
    assert [(issue.kind, issue.where, issue.count, issue.example) for issue in issues.all] == [
        ("nobody chose it, left out", "meta", 2, "'x'"),
        ("stands there twice, the first one counts", "meta", 2, "'a'"),
        ("nothing is known of it but its id", "items.parquet", 2, "'b'"),
    ]
