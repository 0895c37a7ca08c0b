import gzip
import json

import pandas as pd
import pyarrow as pa
import pytest

from tfmmrec.data import readers
from tfmmrec.data.readers import FileTable, FrameTable, Rows, check_columns, find_files, format_of, inside
from tfmmrec.types import DataError

FRAME = pd.DataFrame({"id": ["007", "8"], "n": [1, 2]})


def write(folder, name):
    path = folder / name
    if ".csv" in name:
        FRAME.to_csv(path, index=False)
    elif ".tsv" in name:
        FRAME.to_csv(path, index=False, sep="\t")
    elif name.endswith(".parquet"):
        FRAME.to_parquet(path)
    else:
        text = "".join(json.dumps(row) + "\n" for row in FRAME.to_dict("records")).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.parquet", "t.jsonl", "t.json", "T.JSONL.gz"])
def test_every_format_gives_the_same_rows(tmp_path, name):
    write(tmp_path, name)
    table = FileTable(tmp_path, name, "x")
    assert table.column_names() == ["id", "n"]
    (rows,) = table.rows(["n", "id"])
    assert rows.batch.schema.names == ["n", "id"]
    assert rows.column("id").to_pylist() == ["007", "8"]
    assert [str(value) for value in rows.column("n").to_pylist()] == ["1", "2"]
    assert rows.place(1, "n") == f"{name}, row 2, column 'n'"


def test_a_glob_reads_its_files_in_order_and_counts_rows_in_each(tmp_path):
    for name in ("b.csv", "a.csv"):
        write(tmp_path, name)
    (tmp_path / "empty.csv").write_text("id,n\n")
    places = [rows.place(0) for rows in FileTable(tmp_path, "*.csv", "x").rows(["id"])]
    assert places == ["a.csv, row 1", "b.csv, row 1"]


def test_every_file_of_a_glob_needs_the_columns(tmp_path):
    write(tmp_path, "a.csv")
    (tmp_path / "b.csv").write_text("id,m\n1,2\n")
    with pytest.raises(DataError, match="^b.csv: no column 'n'; it has 'id', 'm'"):
        list(FileTable(tmp_path, "*.csv", "x").rows(["id", "n"]))


def test_a_missing_file_is_told_with_the_nearest(tmp_path):
    write(tmp_path, "train.csv")
    with pytest.raises(DataError, match="`interactions.train`: no file 'trian.csv' in .*did you mean 'train.csv'?"):
        FileTable(tmp_path, "trian.csv", "interactions.train")
    with pytest.raises(DataError, match="no file 'part-.*' in .*; tables there: 'train.csv'"):
        FileTable(tmp_path, "part-*.csv", "interactions.train")


def test_an_unknown_format_is_refused(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"x")
    with pytest.raises(DataError, match="t.xlsx: no known table format; expected a file name ending in .csv, .tsv"):
        FileTable(tmp_path, "t.xlsx", "x").column_names()
    assert format_of(tmp_path / "t.parquet.gz") is None


@pytest.mark.parametrize("path", ["../secret.csv", "/etc/hostname", "a/../../secret.csv", "../*.csv", "link.csv"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, path):
    root = tmp_path / "data"
    root.mkdir()
    write(tmp_path, "secret.csv")
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(DataError, match="`x`: the path .* leaves the dataset's folder"):
        find_files(root, path, "x")


def test_a_path_that_comes_back_is_fine(tmp_path):
    (tmp_path / "sub").mkdir()
    assert inside(tmp_path, "sub/../t.csv", "x").resolve() == tmp_path / "t.csv"


def test_missing_and_double_columns():
    with pytest.raises(DataError, match="^t: no column 'titel'; it has 'id', 'title'; did you mean 'title'?"):
        check_columns(["id", "title"], ["id", "titel"], "t")
    with pytest.raises(DataError, match="^t: the column 'id' stands there twice; rename one"):
        check_columns(["id", "id"], ["id"], "t")


def test_frames_stream_in_batches(monkeypatch):
    monkeypatch.setattr(readers, "BATCH_ROWS", 2)
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], 3: [[1], [2, 3], None]}, index=[9, 9, 9])
    table = FrameTable(frame, "candidates")
    assert table.column_names() == ["a", "b", "3"]
    parts = list(table.rows(["b", "3"]))
    assert [part.column("b").to_pylist() for part in parts] == [["x", None], ["z"]]
    assert parts[1].place(0) == "candidates, row 3"
    assert parts[0].column("3").to_pylist() == [[1], [2, 3]]


def test_a_frame_with_mixed_values_is_refused_with_the_row():
    frame = pd.DataFrame({"a": ["x", 1.5]})
    with pytest.raises(DataError, match="^queries, row 2, column 'a': expected text like in the rows before"):
        list(FrameTable(frame, "queries").rows(["a"]))


def test_rows_know_their_place():
    part = Rows("f.csv", 100, pa.record_batch([pa.array([1, 2])], ["x"]))
    assert len(part) == 2 and part.place(1) == "f.csv, row 101"
