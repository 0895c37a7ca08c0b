import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import yaml

from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.dataset_writer import DatasetWriter, new_folder, write_yaml
from tfmmrec.data.raw_sources import Source
from tfmmrec.types import DataError, UsageError

SHOP = Source("Shop", "https://shop.example", "free for all; " + "and so on " * 20)


def fill(writer, num_rows=20):
    """Ten queries with two choices each, at rising times."""
    rows = np.arange(num_rows)
    queries, candidates = (pa.array([f"{row % count:02d}" for row in rows]) for count in (10, 7))
    writer.interactions.add("log", rows + 1, queries, candidates, 1.0 + rows % 5, 1000.0 * rows)


def write(to, **options):
    with new_folder(to) as staging:
        writer = DatasetWriter(staging, SHOP, "who", "what", **options)
        fill(writer)
        writer.finish_interactions(to, "a line")
        table = writer.candidate_table({"title": pa.string(), "price": pa.float64()})
        ids = ["00", "01", "02"]
        assert table.choose("meta", ids).all()
        table.add({"what": ids, "title": ["a", None, "c"], "price": [None] * 3})
        table.finish()
        people = writer.query_table({"age": pa.int32()})
        people.finish()
        features = {"title": {"kind": "text"}, "price": {"kind": "number"}}
        return writer.finish(
            to, table, features, ["title", "price"], people, {"age": {"kind": "number"}}, ["Read this."]
        )


def test_what_is_written_can_be_loaded(tmp_path):
    to = tmp_path / "new" / "shop"
    made = write(to, min_rating=2)
    assert (made.path, made.num_interactions, made.num_queries, made.num_candidates) == (to, 20, 10, 7)
    assert sorted(path.name for path in to.iterdir()) == [
        "dataset.yaml",
        "interactions.parquet",
        "items.parquet",
        "users.parquet",
    ]
    assert list(to.parent.iterdir()) == [to], "no staging folder is left"
    dataset = load_dataset(to)
    # of 20 rows those with rating 1 (rows 0, 5, 10, 15) are no choices; of 16 the last 2 are the test's
    assert {name: part.num_rows for name, part in dataset.parts.items()} == {"train": 12, "valid": 2, "test": 2}
    assert dataset.test.columns["timestamp"].tolist() == [18.0, 19.0]
    assert dataset.candidates.ids.to_pylist()[:3] == ["00", "01", "02"]


def test_the_yaml_says_where_the_data_come_from_and_what_they_have(tmp_path):
    write(tmp_path / "shop", split="leave_one_out")
    text = (tmp_path / "shop" / "dataset.yaml").read_text()
    assert text.startswith(
        "# Shop, as `tfmmrec import` wrote it.\n# From: https://shop.example\n# Terms: free for all;"
    )
    assert "\n# Read this.\n" in text and max(map(len, text.splitlines())) <= 112
    content = yaml.safe_load(text)
    assert content["interactions"]["split"] == {"method": "leave_one_out", "valid": 0.1, "test": 0.1}
    assert "positive" not in content["interactions"]
    assert content["candidates"]["features"] == {"title": {"kind": "text"}}, "no row has a price"
    assert content["candidates"]["display"] == ["title"]
    assert content["queries"]["features"] == {}


def test_whole_or_not_at_all(tmp_path):
    to = tmp_path / "shop"
    with pytest.raises(KeyError), new_folder(to) as staging:
        (staging / "half").write_text("")
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    to.mkdir()
    with new_folder(to) as staging:
        (staging / "whole").write_text("")
    assert [path.name for path in to.iterdir()] == ["whole"], "an empty folder may be there"
    assert to.stat().st_mode & 0o777 == 0o755


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="exists and is not empty; name a new folder, or remove this one first"):
        with new_folder(tmp_path):
            pass
    with pytest.raises(UsageError, match="file exists and is a file"):
        with new_folder(tmp_path / "file"):
            pass


def test_arguments_that_make_no_sense(tmp_path):
    with pytest.raises(UsageError, match="split must be one of time, leave_one_out, ratio, got 'random'"):
        DatasetWriter(tmp_path, SHOP, "who", "what", split="random")
    with pytest.raises(UsageError, match="core must be at least 2, got 1; leave it out to keep everything"):
        DatasetWriter(tmp_path, SHOP, "who", "what", core=1)


def test_a_log_without_a_line_that_can_be_read(tmp_path):
    writer = DatasetWriter(tmp_path, SHOP, "who", "what")
    none = pa.nulls(2, pa.string())
    writer.interactions.add("log", np.array([1, 2]), none, none, np.ones(2), np.ones(2))
    with pytest.raises(DataError) as caught:
        writer.finish_interactions(tmp_path / "log", "who,what")
    found = "no interactions; expected lines like who,what, found 2 × broken line, left out, first line 1"
    assert str(caught.value) == f"{tmp_path / 'log'}: {found}"


def test_a_yaml_that_no_schema_is_is_not_written(tmp_path):
    with pytest.raises(DataError, match="unknown key `colour`"):
        write_yaml(tmp_path, dataclasses.replace(SHOP, terms="free"), {"colour": "red"})
    assert not list(tmp_path.iterdir())
