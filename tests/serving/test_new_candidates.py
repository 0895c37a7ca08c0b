import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.serving.tables import candidates_table, write_candidates
from tfmmrec.embedding import raw_batch
from tfmmrec.schema import Schema
from tfmmrec.serving.new_candidates import no_candidates, read_ids, read_new_candidates, read_removed
from tfmmrec.types import DataError


@pytest.fixture
def inputs(served):
    return served.description()["embed_candidate"]["inputs"]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_read_as_the_dataset_is(form, song_dataset, inputs, tmp_path):
    path = tmp_path / f"new.{form}"
    rows = [29, 3, 14, 7]
    if form == "parquet":
        write_candidates(path, song_dataset, rows, remark=["a"] * 4)
    else:
        lines = candidates_table(song_dataset, rows).to_pylist()
        path.write_text("".join(json.dumps(line | {"remark": "a"}) + "\n" for line in lines))
    found = read_new_candidates(path, song_dataset.schema, inputs)
    assert found.ignored == ["remark"]
    assert found.entities.ids.to_pylist() == read_ids(path, song_dataset.schema) == ["s29", "s3", "s14", "s7"]
    for name, feature in song_dataset.schema.candidates.features.items():
        is_list = "list_length" in inputs[f"candidate_{name}"]
        expected = raw_batch(song_dataset.candidates, name, feature, np.array(rows), is_list)
        np.testing.assert_array_equal(raw_batch(found.entities, name, feature, np.arange(4), is_list), expected)


def test_single_values_become_lists_where_the_model_takes_lists(song_dataset, inputs, tmp_path):
    path = write_candidates(tmp_path / "new.parquet", song_dataset, [3, 4], mood=["sad", None])
    found = read_new_candidates(path, song_dataset.schema, inputs)
    assert found.entities.features["mood"].to_pylist() == [["sad"], None] and not found.ignored


def test_no_row_need_have_a_vector(song_dataset, inputs, tmp_path):
    path = write_candidates(tmp_path / "new.parquet", song_dataset, [3, 4], sound=[None, None])
    found = read_new_candidates(path, song_dataset.schema, inputs).entities.features
    assert found["sound"].shape == (2, 4) and np.isnan(found["sound"]).all()
    assert list(found) == list(song_dataset.schema.candidates.features)


def test_a_catalogue_that_was_no_table_gets_its_new_candidates_from_one(tmp_path):
    """Ids that were row numbers stand in the log's column, arrays of a file in a column with the feature's name."""
    vector = {"kind": "vector", "path": "v.npy"}
    log = {"path": "-", "query": "user", "candidate": "item"}
    schema = {"interactions": log, "candidates": {"ids": {"range": 3}, "features": {"picture": vector}}}
    path = tmp_path / "new.jsonl"
    path.write_text('{"item": 3, "picture": [1, 2.5]}\n{"item": 4, "picture": null}\n')
    inputs = {"candidate_picture": {"shape": [2]}}
    found = read_new_candidates(path, Schema.model_validate(schema), inputs).entities
    assert found.ids.to_pylist() == ["3", "4"]
    np.testing.assert_array_equal(found.features["picture"], [[1.0, 2.5], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("song", ["s1", "s1"], "the id 's1' stands there twice, first in new.parquet, row 1"),
        ("song", ["s1", None], "row 2, column 'song': expected an id, found none"),
        ("sound", [[1.0, 2.0]] * 2, "column 'sound': expected vectors of 4 numbers, found 2"),
        ("title", [["a", "b"], ["c"]], "column 'title': expected one value a row"),
        ("genre", [["a", "b"], ["c"]], "column 'genre': expected one value a row, as the model was trained with"),
        ("length", ["long", "1"], "new.parquet, row 1, column 'length': expected"),
    ],
)
def test_values_that_are_refused(column, values, message, song_dataset, inputs, tmp_path):
    path = write_candidates(tmp_path / "new.parquet", song_dataset, [0, 1], **{column: values})
    with pytest.raises(DataError, match=message):
        read_new_candidates(path, song_dataset.schema, inputs)


def test_columns_and_files_that_are_refused(song_dataset, inputs, tmp_path):
    table, path = candidates_table(song_dataset, [0, 1]), tmp_path / "new.parquet"
    misspelt = table.rename_columns(["sond", *table.column_names[1:]])
    for changed, message in (
        (misspelt, "new.parquet: no column 'song'; it has 'sond', .* did you mean 'sond'"),
        (table.drop_columns(["artist"]), "no column 'artist'"),
        (table.slice(0, 0), "the table of candidates is empty"),
    ):
        pq.write_table(changed, path)
        with pytest.raises(DataError, match=message):
            read_new_candidates(path, song_dataset.schema, inputs)
    with pytest.raises(DataError, match="gone.parquet: no such file; expected a table of new candidates"):
        read_new_candidates(tmp_path / "gone.parquet", song_dataset.schema, inputs)
    (tmp_path / "new.docx").write_text("song")
    with pytest.raises(DataError, match="no known table format"):
        read_new_candidates(tmp_path / "new.docx", song_dataset.schema, inputs)
    assert len(no_candidates()) == 0


def test_removed_ids(song_dataset, tmp_path):
    schema = song_dataset.schema
    for name, content in (
        ("gone.txt", "\ufeffa\n\n b\na\n"),
        ("gone", "a\r\nb\r\n"),
        ("gone.csv", "whatever\na\nb\n"),
        ("index.csv", ",title,song\n0,x,a\n1,y,b\n"),  # as pandas writes it
        ("gone.jsonl", '{"id": "a"}\n{"id": "b"}\n'),
    ):
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert read_removed(tmp_path / name, schema, {"a", "b"}) == ["a", "b"], name
    for name, content, message in (
        ("empty.txt", b"\n \n", "expected ids of candidates to remove, found none"),
        ("latin.txt", "é".encode("latin-1"), "expected a text file with an id a line, or a table"),
        ("gap.csv", b"song,x\na,1\n,2\n", "gap.csv, row 2, column 'song': expected an id, found none"),
        ("headless.csv", b"a\nb\n", "headless.csv: its heading has 'a', which is a candidate's id; begin with a line"),
        ("others.csv", b"id,x\na,1\n", "expected a column 'song' with the ids, or one column alone, found 'id', 'x'"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_removed(tmp_path / name, schema, {"a", "b"})
    with pytest.raises(DataError, match="gone.parquet: no such file"):
        read_removed(tmp_path / "gone.parquet", schema)
    with pytest.raises(DataError, match="none.txt: expected a text file with an id a line"):
        read_removed(tmp_path / "none.txt", schema)
