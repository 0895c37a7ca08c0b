import numpy as np
import pandas as pd
import pytest

from tfmmrec.data import readers
from tfmmrec.data.entity_reader import read_entities
from tfmmrec.data.readers import FileTable, FrameTable
from tfmmrec.schema import CandidatesSchema
from tfmmrec.types import DataError


def read(frame, features=None, root=None, **keys):
    schema = CandidatesSchema(id="id", features=features or {}, **keys)
    return read_entities(schema, FrameTable(pd.DataFrame(frame), "items"), "candidates", root)[0]


def refused(message, frame, features=None, root=None, **keys):
    with pytest.raises(DataError) as caught:
        read(frame, features, root, **keys)
    assert message in str(caught.value)


def test_every_kind(tmp_path):
    np.save(tmp_path / "v.npy", np.eye(3, dtype=np.float32))
    frame = {
        "id": ["a", "b", "c"],
        "title": ["A", " ", None],
        "genres": ["x|y", None, "x"],
        "tags": [["p", "q"], [], None],
        "year": [1999, None, np.inf],
        "shop": [7, 8, 7],
        "look": ["a.png", "", None],
        "list": [[1.0, 2.0], None, [3.0, 4.0]],
    }
    features = {
        "title": {"kind": "text"},
        "genres": {"kind": "category", "separator": "|"},
        "labels": {"kind": "category", "column": "tags"},
        "year": {"kind": "number"},
        "shop": {"kind": "identifier"},
        "look": {"kind": "image"},
        "sound": {"kind": "vector", "path": "v.npy"},
        "list": {"kind": "vector"},
    }
    (tmp_path / "a.png").write_bytes(b"x")
    entities = read(frame, features, tmp_path, display=["title", "look", "labels"])
    assert list(entities.features) == list(features)
    found = entities.features
    assert found["title"].to_pylist() == ["A", None, None]
    assert found["genres"].to_pylist() == ["x|y", None, "x"]
    assert found["labels"].to_pylist() == [["p", "q"], [], None]
    assert found["shop"].to_pylist() == ["7", "8", "7"]
    assert found["look"].to_pylist() == ["a.png", None, None]
    np.testing.assert_array_equal(found["year"], np.array([1999, np.nan, np.nan], np.float32))
    assert found["sound"].tolist() == np.eye(3).tolist()
    assert found["list"][[0, 2]].tolist() == [[1, 2], [3, 4]] and np.isnan(found["list"][1]).all()
    assert {name: column.to_pylist()[0] for name, column in entities.display.items()} == {
        "title": "A",
        "look": "a.png",
        "labels": ["p", "q"],
    }
    assert [(issue.kind, issue.count, issue.example) for issue in entities.issues] == [
        ("infinite number, taken as missing", 1, "items, row 3")
    ]


def test_columns_whose_batches_differ_come_together(monkeypatch):
    monkeypatch.setattr(readers, "BATCH_ROWS", 1)
    frame = {"id": ["a", "b", "c"], "tags": ["x", ["y", "z"], None], "look": [None, b"123", None]}
    entities = read(frame, {"tags": {"kind": "category"}, "look": {"kind": "image"}})
    assert entities.features["tags"].to_pylist() == [["x"], ["y", "z"], None]
    assert entities.features["look"].to_pylist() == [None, b"123", None]


def test_a_column_has_bytes_or_paths_but_not_both(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "BATCH_ROWS", 2)
    frame = {"id": ["a", "b", "c", "d", "e"], "look": [None, "a.png", None, None, b"123"]}
    message = "expected pictures' paths or their bytes in the whole table, found "
    message += "paths (items, row 2) and bytes (items, row 5)"
    refused(f"items, column 'look': {message}", frame, {"look": {"kind": "image"}}, tmp_path)
    refused(message, frame | {"look": ["", "a.png", b"", None, b"123"]}, {"look": {"kind": "image"}}, tmp_path)


def test_duplicate_ids_name_both_rows(tmp_path):
    (tmp_path / "a.csv").write_text("id,n\n01,x\n1,y\n")
    (tmp_path / "b.csv").write_text("id,n\n2,x\n01,y\n")
    schema = CandidatesSchema(path="*.csv", id="id")
    with pytest.raises(DataError) as caught:
        read_entities(schema, FileTable(tmp_path, "*.csv", "x"), "candidates", tmp_path)
    assert "b.csv, row 2, column 'id': the id '01' stands there twice, first in a.csv, row 1" in str(caught.value)


def test_bad_tables_are_refused(tmp_path):
    refused("items: the table of candidates is empty", {"id": []})
    refused("items, row 2, column 'id': expected an id, found none", {"id": ["a", ""]})
    refused("items, row 2, column 'id': ids must be strings or integers, found floats", {"id": [1, None]})
    refused(
        "items: no column 'titel'; it has 'id', 'title'; did you mean 'title'?",
        {"id": [1], "title": ["a"]},
        display=["titel"],
    )
    frame = {"id": ["a", "b"], "price": ["1", "cheap"]}
    refused("items, row 2, column 'price': expected a number, found 'cheap'", frame, {"price": {"kind": "number"}})
    frame = {"id": ["a"], "t": [["x", "y"]]}
    refused(
        "items, row 1, column 't': expected one value a row for kind: text, found lists",
        frame,
        {"t": {"kind": "text"}},
    )
    refused(
        "items, row 1, column 't': expected a picture's path or its bytes",
        frame,
        {"t": {"kind": "image"}},
        tmp_path,
    )
    frame = {"id": ["a", "b"], "look": ["x.png", "../x.png"]}
    message = "items, row 2, column 'look': the path '../x.png' leaves the dataset's folder"
    refused(message, frame, {"look": {"kind": "image"}}, tmp_path)
    refused(
        "items, column 'look': pictures are given by paths, but no folder; pass root=",
        frame,
        {"look": {"kind": "image"}},
    )


def test_missing_picture_files_are_counted_when_reading(tmp_path):
    entities = read({"id": ["a", "b"], "look": ["x.png", "y.png"]}, {"look": {"kind": "image"}}, tmp_path)
    entities.media_bytes("look", [0, 1])
    assert [(issue.kind, issue.count, issue.example) for issue in entities.issues] == [
        ("missing picture file", 2, "items, row 1: 'x.png'")
    ]
