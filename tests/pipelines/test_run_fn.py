"""Trainer's module file, called as TFX's Trainer calls it but without TFX."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from pipelines.run_fn import parse_custom_config, read_dataset, run_fn, upload
from tests.data.examples import example, write_examples, write_types
from tfmmrec.types import DataError, UsageError

NUM_QUERIES, NUM_CANDIDATES = 12, 30
WORDS = ("red", "blue", "green")
TYPES = {"who": "BYTES", "what": "INT", "title": "BYTES", "price": "FLOAT", "age": "BYTES"}
CONTENT = {
    "interactions": {"query": "who", "candidate": "what"},
    "candidates": {"id": "what", "features": {"title": {"kind": "text"}, "price": {"kind": "number"}}},
    "queries": {"id": "who", "history": {"length": 8}, "features": {"age": {"kind": "category"}}},
}
SETTINGS = {"dim": 8, "feature_dim": 8, "epochs": 1, "batch_size": 16, "refit": False}


def candidate(number):
    return {"what": number, "title": f"{WORDS[number % 3]} thing {number}", "price": float(number)}


def choices(seed, count, highest):
    """Of every query some candidates below `highest`; a row as ExampleGen has it, with what is joined to the choice."""
    random = np.random.default_rng(seed)
    return [
        {"who": f"q{query}", "age": str(20 + query % 2), **candidate(int(number))}
        for query in range(NUM_QUERIES)
        for number in random.choice(highest, count, replace=False)
    ]


TRAIN, TEST = choices(0, 6, NUM_CANDIDATES - 5), choices(1, 4, NUM_CANDIDATES)


def arguments(folder, custom_config, **others):
    """The attributes that TFX's FnArgs has."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in (("train", TRAIN), ("eval", TEST)):
        write_examples(folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz", rows)
    given = {
        "train_files": [f"{folder}/Split-train/*"],
        "eval_files": [f"{folder}/Split-eval/*"],
        "train_steps": None,
        "eval_steps": None,
        "schema_path": write_types(folder / "schema.pbtxt", **TYPES),
        "serving_model_dir": f"{folder}/model/Format-Serving",
        "model_run_dir": f"{folder}/model_run",
        "base_model": None,
        "hyperparameters": None,
        "custom_config": custom_config,
    }
    return SimpleNamespace(**(given | others))


def ask(folder, signature, **inputs):
    """What a server would answer: the serving loader, by the names of tensors."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def
        described = signatures[signature]
        values = {name: tf.make_ndarray(value) for name, value in described.defaults.items()} | inputs
        feed = {described.inputs[name].name: value for name, value in values.items()}
        found = session.run({name: info.name for name, info in described.outputs.items()}, feed)
    return found, sorted(signatures)


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """A model of Examples that carry everything."""
    folder = tmp_path_factory.mktemp("joined")
    config = {"config": CONTENT, "settings": SETTINGS | {"dim": 4}}
    tuned = {"values": {"dim": 8}}
    made = arguments(folder, config, hyperparameters=tuned)
    run_fn(made)
    return made


def test_what_is_written_is_a_model_with_all_signatures(joined):
    serialized = example({"query_id": "q3", "query_age": "21", "k": 40}).SerializeToString()
    found, signatures = ask(joined.serving_model_dir, "recommend_examples", examples=np.array([serialized, b""]))
    assert {"recommend", "recommend_examples", "embed_query", "embed_candidate", "search", "similar"} <= set(signatures)
    seen = {str(row["what"]) for row in TRAIN if row["who"] == "q3"}
    known = {str(row["what"]) for row in TRAIN + TEST}
    answers = [id.decode() for id in found["candidate_ids"][0] if id]
    assert sorted(answers) == sorted(known - seen), "all that the Examples have but what it has chosen, each once"
    assert found["source"].tolist() == [b"query", b"popular"]


def test_the_eval_split_is_the_test_that_the_model_carries(joined):
    carried = pq.read_table(f"{joined.serving_model_dir}/assets.extra/evaluation.parquet").to_pydict()
    chosen = {part: {(row["who"], str(row["what"])) for row in rows} for part, rows in (("a", TRAIN), ("b", TEST))}
    found = {(query, id) for query, ids in zip(carried["query_id"], carried["positives"], strict=True) for id in ids}
    assert found == chosen["b"] - chosen["a"]
    assert all(
        {(query, id) for id in ids} == {pair for pair in chosen["a"] if pair[0] == query}
        for query, ids in zip(carried["query_id"], carried["history"], strict=True)
    )


def test_the_run_is_kept_and_tuned_settings_stand_above_the_others(joined):
    config = json.loads(open(f"{joined.model_run_dir}/run/config.json").read())
    assert config["finished"] and config["hyperparameters"] == {"dim": 8, "feature_dim": 8}
    assert config["options"]["batch_size"] == 16 and config["dataset"] is None


def test_candidates_of_a_folder_are_indexed_though_no_example_has_them(tmp_path):
    shop = tmp_path / "shop"
    shop.mkdir()
    more = [candidate(number) for number in range(NUM_CANDIDATES + 5)]
    pd.DataFrame(more).to_csv(shop / "things.csv", index=False)
    content = CONTENT | {
        "interactions": CONTENT["interactions"] | {"path": "elsewhere.csv"},
        "candidates": CONTENT["candidates"] | {"path": "things.csv"},
    }
    (shop / "other.yaml").write_text(json.dumps(content))
    config = {
        "dataset": str(shop),
        "config": "other.yaml",
        "model": "id_only",
        "settings": {"dim": 8, "refit": False},
        "index": {"kind": "exact"},
    }
    made = arguments(tmp_path / "tfx", config, train_steps=3)
    run_fn(made)
    listed = pq.read_table(f"{made.serving_model_dir}/assets.extra/candidates.parquet")["candidate_id"].to_pylist()
    assert listed == [str(number) for number in range(NUM_CANDIDATES + 5)]
    run = json.loads(open(f"{made.model_run_dir}/run/config.json").read())
    assert (run["options"]["epochs"], run["options"]["steps_per_epoch"], run["model"]) == (1, 3, "id_only")
    history = pd.read_csv(f"{made.model_run_dir}/run/history.csv")
    assert history["phase"].tolist() == ["select"]


@pytest.mark.parametrize(
    ("config", "others", "error", "said"),
    [
        ({}, {}, UsageError, "custom_config names no data: give `dataset`"),
        ({"config": CONTENT, "modle": "vbpr"}, {}, UsageError, r"custom_config: modle: .*it takes model, settings"),
        ({"config": CONTENT}, {"base_model": "model/7"}, UsageError, r"run in custom_config\['start_from'\]"),
        (
            {"config": CONTENT, "settings": {"epochs": 3}},
            {"train_steps": 5},
            UsageError,
            "num_steps and the setting epochs both say how long",
        ),
        ({"config": CONTENT, "settings": {"dims": 3}}, {}, UsageError, "dims"),
        (
            {"config": CONTENT},
            {"train_files": ["nowhere/*"]},
            DataError,
            r"no files of Examples match \['nowhere/\*'\]",
        ),
        (
            {"config": CONTENT | {"interactions": {"query": "whom", "candidate": "what"}}},
            {},
            DataError,
            "examples/train: no column 'whom'; .*did you mean 'who'",
        ),
        (
            {"config": CONTENT | {"candidates": {"path": "a.csv", "id": "what"}}},
            {},
            DataError,
            "`candidates.path` names a file, but there is no dataset's folder",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(tmp_path, config, others, error, said):
    made = arguments(tmp_path, config, **others)
    with pytest.raises(error, match=said):
        run_fn(made)
    assert not (tmp_path / "model").exists()


def test_examples_in_a_bucket_are_read_and_a_run_is_put_there(tmp_path):
    made = arguments(tmp_path, {"config": CONTENT})
    here = read_dataset(made, parse_custom_config(made), tmp_path / "scratch")
    for split in ("train", "eval"):
        name = f"Split-{split}/data_tfrecord-00000-of-00001.gz"
        tf.io.gfile.makedirs(f"ram://bucket/Split-{split}")
        tf.io.gfile.copy(f"{tmp_path}/{name}", f"ram://bucket/{name}", overwrite=True)
    made.train_files, made.eval_files = ["ram://bucket/Split-train/*"], ["ram://bucket/Split-eval/*"]
    there = read_dataset(made, parse_custom_config(made), tmp_path / "scratch")
    assert {name: part.num_rows for name, part in there.parts.items()} == {"train": len(TRAIN), "test": len(TEST)}
    assert there.candidates.ids.to_pylist() == here.candidates.ids.to_pylist()
    (tmp_path / "out" / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "out" / "run" / "checkpoints" / "final").write_text("weights")
    (tmp_path / "out" / "else").write_text("no part of the run")
    upload(tmp_path / "out", ("run", "retriever"), "ram://bucket/model_run/")
    assert tf.io.gfile.GFile("ram://bucket/model_run/run/checkpoints/final").read() == "weights"
    assert not tf.io.gfile.exists("ram://bucket/model_run/else")


@pytest.mark.slow
def test_a_ranking_model_is_trained_with_the_retriever_that_it_stands_behind(tmp_path):
    config = {
        "config": CONTENT,
        "model": "ranker",
        "settings": {"epochs": 1, "refit": False},
        "retriever": {"model": "id_only", "settings": {"dim": 4, "epochs": 1, "refit": False}},
    }
    made = arguments(tmp_path, config)
    run_fn(made)
    about = json.loads(open(f"{made.serving_model_dir}/assets.extra/model.json").read())
    assert about["model"] == "ranker" and about["retriever"]["model"] == "id_only"
    serialized = [example({"query_id": "q3", "k": 3}).SerializeToString()]
    found, signatures = ask(made.serving_model_dir, "recommend_examples", examples=np.array(serialized))
    assert found["candidate_ids"].shape == (1, 3) and "score" in signatures
