"""A dataset whose tables are given, in the place of the folder's or without one."""

import pandas as pd
import pytest
import yaml

from tfmmrec.data.config import parse_schema
from tfmmrec.data.dataset import dataset_of_tables, load_dataset
from tfmmrec.data.fingerprint import hash_files
from tfmmrec.data.readers import FrameTable
from tfmmrec.types import DataError

THINGS = pd.DataFrame({"id": ["a", "b", "c"], "title": ["lamp", "chair", "desk"]})
PEOPLE = pd.DataFrame({"id": ["ann", "bob"], "age": ["18", "19"]})
LOG = {
    "train": pd.DataFrame({"who": ["ann", "bob", "bob"], "what": ["a", "a", "b"]}),
    "test": pd.DataFrame({"who": ["ann", "bob"], "what": ["b", "c"]}),
}
CONTENT = {
    "interactions": {"train": "train.parquet", "test": "test.csv", "query": "who", "candidate": "what"},
    "candidates": {"path": "things.csv", "id": "id", "features": {"title": {"kind": "text"}}},
    "queries": {"path": "people.csv", "id": "id", "features": {"age": {"kind": "category"}}},
}


def tables(frames):
    return {name: FrameTable(frame, name) for name, frame in frames.items()}


def pairs(dataset):
    """The rows of every part, as ids."""
    who, what = dataset.queries.ids.to_pylist(), dataset.candidates.ids.to_pylist()
    return {
        name: {(who[query], what[candidate]) for query, candidate in zip(part.query_rows(), part.indices, strict=True)}
        for name, part in dataset.parts.items()
    }


def test_a_log_from_elsewhere_makes_the_dataset_that_the_folder_s_own_would(tmp_path):
    THINGS.to_csv(tmp_path / "things.csv", index=False)
    PEOPLE.to_csv(tmp_path / "people.csv", index=False)
    LOG["train"].to_parquet(tmp_path / "train.parquet")
    LOG["test"].to_csv(tmp_path / "test.csv", index=False)
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(CONTENT))
    whole = load_dataset(tmp_path)
    digests = hash_files(tmp_path, [tmp_path / "train.parquet", tmp_path / "test.csv"])
    made = dataset_of_tables(whole.schema, tmp_path, tables(LOG), digests)
    assert made.fingerprint == whole.fingerprint
    expected = {name: set(frame.itertuples(index=False, name=None)) for name, frame in LOG.items()}
    assert pairs(made) == pairs(whole) == expected
    assert dataset_of_tables(whole.schema, tmp_path, tables(LOG), ["other"]).fingerprint != whole.fingerprint


def test_sides_from_elsewhere_need_no_folder():
    schema = parse_schema(CONTENT)
    made = dataset_of_tables(schema, None, tables(LOG), [], tables({"candidates": THINGS[::-1], "queries": PEOPLE}))
    assert made.candidates.ids.to_pylist() == ["c", "b", "a"]
    assert made.cold_candidates.tolist() == [True, False, False], "only the test has c"
    with pytest.raises(DataError, match="`queries.path` names a file, but there is no dataset's folder to find it in"):
        dataset_of_tables(schema, None, tables(LOG), [], tables({"candidates": THINGS}))
