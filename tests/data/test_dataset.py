import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from tfmmrec.data import dataset_from_frames, load_dataset
from tfmmrec.data.dataset import load_candidates
from tfmmrec.types import DataError, UsageError

CANDIDATES = pd.DataFrame(
    {
        "id": [f"{n:03d}" for n in range(20)],
        "title": [f"thing {n}" for n in range(20)],
        "price": np.arange(20.0),
    }
)
QUERIES = pd.DataFrame({"id": [f"q{n}" for n in range(6)], "age": ["18"] * 6})


def log_frame(seed=0):
    random = np.random.default_rng(seed)
    pairs = [(f"q{q}", f"{c:03d}") for q in range(6) for c in random.permutation(20)[:10]]
    frame = pd.DataFrame(pairs, columns=["q", "c"])
    return frame.assign(t=random.permutation(len(frame)), r=random.integers(1, 6, len(frame)))


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    CANDIDATES.to_csv(root / "things.csv", index=False)
    QUERIES.to_csv(root / "people.csv", index=False)
    frame = log_frame()
    frame.iloc[:48].to_parquet(root / "train.parquet")
    frame.iloc[48:].to_csv(root / "test.csv", index=False)
    frame.to_csv(root / "log.csv", index=False)
    return root


def schema(**interactions):
    return {
        "interactions": {"query": "q", "candidate": "c", **interactions},
        "candidates": {
            "path": "things.csv",
            "id": "id",
            "features": {"title": {"kind": "text"}, "price": {"kind": "number"}},
        },
        "queries": {"path": "people.csv", "id": "id", "features": {"age": {"kind": "category"}}},
    }


def load(folder, content, **arguments):
    (folder / "dataset.yaml").write_text(yaml.safe_dump(content))
    return load_dataset(folder, **arguments)


def pairs(dataset, *parts):
    queries, candidates = dataset.queries.ids.to_pylist(), dataset.candidates.ids.to_pylist()
    return [
        (queries[q], candidates[c])
        for part in parts
        if part is not None
        for q, c in zip(part.query_rows(), part.indices, strict=True)
    ]


def test_ready_made_files(folder):
    dataset = load(folder, schema(train="train.parquet", test="test.csv"))
    frame = log_frame()
    assert pairs(dataset, dataset.train) == list(frame.iloc[:48][["q", "c"]].itertuples(index=False, name=None))
    assert sorted(pairs(dataset, dataset.test)) == sorted(
        frame.iloc[48:][["q", "c"]].itertuples(index=False, name=None)
    )
    assert dataset.valid is None and set(dataset.parts) == {"train", "test"}
    assert dataset.candidates.ids.to_pylist()[:2] == ["000", "001"]
    learned = {candidate for _, candidate in pairs(dataset, dataset.train)}
    cold = [candidate for candidate in CANDIDATES["id"] if candidate not in learned]
    assert [CANDIDATES["id"][row] for row in np.flatnonzero(dataset.cold_candidates)] == cold
    assert dataset.summary()["num_interactions"] == {"train": 48, "test": 12}
    assert json.loads(json.dumps(dataset.summary()))["density"] == 0.5
    assert not dataset.issues


@pytest.mark.parametrize(
    "split",
    [None, {"method": "leave_one_out"}, {"method": "time"}, {"method": "ratio", "valid": 0.0, "test": 0.3}],
)
@pytest.mark.parametrize("cold", [0.0, 0.2])
def test_splits_with_and_without_cold_candidates(folder, split, cold):
    keys = {"path": "log.csv", "timestamp": "t", "rating": "r", "cold_candidates": cold, "seed": 1}
    dataset = load(folder, schema(**keys, **({"split": split} if split else {})))
    found = pairs(dataset, dataset.train, dataset.valid, dataset.test)
    everything = set(log_frame()[["q", "c"]].itertuples(index=False, name=None))
    assert len(found) == len(set(found)) and set(found) <= everything
    if cold:
        assert dataset.cold_candidates.sum() == 4
        is_cold = {CANDIDATES["id"][row] for row in np.flatnonzero(dataset.cold_candidates)}
        for part in (dataset.train, dataset.valid):
            assert part is None or not {c for _, c in pairs(dataset, part)} & is_cold
        missing = everything - set(found)
        assert missing and all(candidate in is_cold for _, candidate in missing)
    else:
        assert set(found) == everything
    again = load(folder, schema(**keys, **({"split": split} if split else {})))
    assert (again.train.indices == dataset.train.indices).all() and again.fingerprint == dataset.fingerprint
    assert set(dataset.train.columns) == {"timestamp", "rating"}


def test_histories_are_in_time_order(folder):
    dataset = load(folder, schema(path="log.csv", timestamp="t", split={"method": "leave_one_out"}))
    frame = log_frame()
    for row, query in enumerate(QUERIES["id"]):
        mine = frame[frame["q"] == query].sort_values("t")["c"].tolist()
        ids = [dataset.candidates.ids[int(c)].as_py() for c in dataset.train.candidates_of(row)]
        assert ids == mine[:-2]
        assert dataset.test.candidates_of(row).tolist() == [int(mine[-1])]


def test_without_tables_the_ids_come_from_the_interactions(folder):
    keys = schema(train="train.parquet", test="test.csv")["interactions"]
    dataset = load(folder, {"interactions": keys})
    frame = log_frame()
    assert dataset.queries.ids.to_pylist() == list(frame["q"].unique())
    assert dataset.candidates.ids.to_pylist() == list(frame["c"].unique())
    assert dataset.train.num_candidates == dataset.test.num_candidates == frame["c"].nunique()


def test_the_candidates_alone(folder):
    dataset = load(folder, schema(train="train.parquet", test="test.csv"))
    (folder / "train.parquet").unlink()  # no row of the log is read
    described, candidates = load_candidates(folder)
    assert described == dataset.schema.candidates
    assert candidates.ids.equals(dataset.candidates.ids) and len(candidates) == 20
    assert candidates.features["title"].equals(dataset.candidates.features["title"])
    (folder / "bare.yaml").write_text(yaml.safe_dump({"interactions": schema(train="train.parquet")["interactions"]}))
    with pytest.raises(DataError, match="its candidates have no table .candidates.path., so there is nothing to read"):
        load_candidates(folder, folder / "bare.yaml")


def test_row_numbers_as_ids_go_with_vectors(folder):
    np.save(folder / "v.npy", np.ones((25, 3), np.float16))
    log_frame().assign(c=lambda frame: frame["c"].astype(int)).to_csv(folder / "log.csv", index=False)
    content = schema(path="log.csv")
    content["candidates"] = {"ids": {"range": 25}, "features": {"v": {"kind": "vector", "path": "v.npy"}}}
    dataset = load(folder, content)
    assert dataset.candidates.ids.to_pylist() == [str(n) for n in range(25)]
    assert dataset.candidates.features["v"].shape == (25, 3)


def test_unknown_ids_are_survived_and_all_unknown_are_not(folder):
    CANDIDATES.iloc[1:].to_csv(folder / "things.csv", index=False)
    dataset = load(folder, schema(path="log.csv"))
    (issue,) = dataset.issues
    assert issue.kind == "unknown candidate id" and issue.where == "log.csv, no row in things.csv"
    assert issue.example.startswith("log.csv, row ") and issue.example.endswith(": '000'")
    assert dataset.summary()["num_issues"] == issue.count
    CANDIDATES.assign(id=[str(n) for n in range(100, 120)]).to_csv(folder / "things.csv", index=False)
    with pytest.raises(DataError, match="log.csv: none of the 60 interactions has both its ids in the tables"):
        load(folder, schema(path="log.csv"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s["interactions"].update(query="user"),
            "train.parquet: no column 'user'; it has 'q', 'c', 't', 'r'",
        ),
        (lambda s: s["candidates"].update(path="thing.csv"), "`candidates.path`: no file 'thing.csv'"),
        (
            lambda s: s["candidates"].update(path="../things.csv"),
            "`candidates.path`: the path '../things.csv' leaves",
        ),
        (lambda s: s["candidates"]["features"].update(titel={"kind": "text"}), "did you mean 'title'?"),
        (
            lambda s: s["candidates"]["features"].update(title={"kind": "number"}),
            "things.csv, row 1, column 'title': expected a number",
        ),
        (lambda s: s["interactions"].update(cold_candidates=0.99), "cold_candidates: 0.99 asks for 20 of 20"),
    ],
)
def test_mistakes_are_told(folder, change, message):
    content = schema(train="train.parquet", test="test.csv")
    change(content)
    with pytest.raises(DataError) as caught:
        load(folder, content)
    assert message in str(caught.value)


def test_an_empty_test_file_is_an_error(folder):
    (folder / "test.csv").write_text("q,c\n")
    with pytest.raises(DataError, match="^test.csv: no interactions; expected at least one row below the header"):
        load(folder, schema(train="train.parquet", test="test.csv"))


def test_large_arrays_lie_in_the_cache_folder_and_leave_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tfmmrec.data.storage.IN_MEMORY_BYTES", 0)
    dataset = load(folder, schema(train="train.parquet"), cache_dir=tmp_path / "cache")
    assert isinstance(dataset.train.indices, np.memmap)
    assert not list((tmp_path / "cache").iterdir())


def test_the_fingerprint_follows_schema_and_content(folder, tmp_path):
    content = schema(train="train.parquet", test="test.csv")
    before = load(folder, content).fingerprint
    shutil.copytree(folder, tmp_path / "copy")
    assert load(tmp_path / "copy", content).fingerprint == before
    assert load(folder, schema(train="train.parquet", test="test.csv", seed=1)).fingerprint != before
    CANDIDATES.assign(price=0).to_csv(folder / "things.csv", index=False)
    assert load(folder, content).fingerprint != before


def test_frames_give_what_files_give(folder):
    content = schema(path="log.csv", timestamp="t")
    from_files = load(folder, content)
    from_frames = dataset_from_frames(content, log_frame(), CANDIDATES, QUERIES)
    for name, part in from_files.parts.items():
        assert (from_frames.parts[name].indices == part.indices).all()
        assert (from_frames.parts[name].indptr == part.indptr).all()
    assert from_frames.candidates.features["title"] == from_files.candidates.features["title"]
    assert from_frames.root is None
    del content["candidates"]["path"], content["queries"]["path"], content["interactions"]["path"]
    frames = {"train": log_frame().iloc[:48], "test": log_frame().iloc[48:]}
    dataset = dataset_from_frames(content, frames, CANDIDATES, QUERIES)
    assert dataset.train.num_rows == 48 and dataset.fingerprint != from_frames.fingerprint
    again = dataset_from_frames(content, {name: frame.copy() for name, frame in frames.items()}, CANDIDATES, QUERIES)
    assert again.fingerprint == dataset.fingerprint


def test_frames_that_do_not_fit_are_refused():
    keys = {"interactions": {"query": "q", "candidate": "c"}}
    with pytest.raises(UsageError, match="interactions must have the keys train, valid, test, got .'test'.$"):
        dataset_from_frames(keys, {"test": log_frame()})
    with pytest.raises(UsageError, match="a frame of candidates needs `candidates.id` in the schema"):
        dataset_from_frames(keys, log_frame(), CANDIDATES)
    features = {"candidates": {"id": "id", "features": {"title": {"kind": "text"}}}}
    with pytest.raises(UsageError, match="there is no frame; pass candidates="):
        dataset_from_frames(keys | features, log_frame())
    floats = log_frame().assign(c=1.0)
    with pytest.raises(DataError, match="interactions, row 1, column 'c': ids must be strings or integers"):
        dataset_from_frames(keys, floats)
    with pytest.raises(DataError, match="^schema: `interactions` is missing"):
        dataset_from_frames({}, log_frame())


def test_tfrecords_make_a_dataset(tmp_path):
    import tensorflow as tf

    def write(name, rows):
        with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
            for row in rows:
                features = {
                    key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
                    if isinstance(value, str)
                    else tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
                    for key, value in row.items()
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())

    write("things.tfrecord", [{"id": 1, "title": "one"}, {"id": 2, "title": "zwei ä"}])
    write("log.tfrecord", [{"q": "a", "c": 2}, {"q": "a", "c": 1}, {"q": "b", "c": 2}])
    content = {
        "interactions": {"train": "log.tfrecord", "query": "q", "candidate": "c"},
        "candidates": {"path": "things.tfrecord", "id": "id", "features": {"title": {"kind": "text"}}},
    }
    dataset = load(tmp_path, content)
    assert pairs(dataset, dataset.train) == [("a", "2"), ("a", "1"), ("b", "2")]
    assert dataset.candidates.features["title"].to_pylist() == ["one", "zwei ä"]


def test_loading_imports_no_tensorflow(folder, run_python):
    load(folder, schema(train="train.parquet", test="test.csv"))
    code = f"import sys, tfmmrec\ntfmmrec.load_dataset({str(folder)!r})\nprint('tensorflow' in sys.modules)"
    assert run_python(code).stdout == "False\n"
