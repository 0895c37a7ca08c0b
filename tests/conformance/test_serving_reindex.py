"""A saved model gets a larger index from raw content and is saved again, without a class of this project."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from tensorflow.core.protobuf import saved_model_pb2

from tests.conformance.serving import PythonModel, ask_stock_runtime, check_ranking
from tests.serving.catalogue import songs, untrained_run
from tfmmrec.data.dataset import Dataset
from tfmmrec.serving.export import export_run
from tfmmrec.serving.index import filter_codes
from tfmmrec.serving.inputs import candidate_inputs
from tfmmrec.serving.warmup import request_values

# The procedure that ExactIndex documents, with vectors that the export itself makes of raw content.
REINDEX = """
import os, pickle, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
with open(sys.argv[2], "rb") as file:
    raw, popularity, codes, values = pickle.load(file)
made = model.embed_candidate(**{name: tf.constant(value) for name, value in raw.items()})
arrays = [raw["candidate_id"], made["vectors"], popularity, codes, values]
model.index.replace(*map(tf.constant, arrays), *([made["history_vectors"]] if "history_vectors" in made else []))
signatures = {name: getattr(model, name) for name in model.signatures}
tf.saved_model.save(model, sys.argv[3], signatures=signatures)
assert not {"tfmmrec", "tf_keras", "tensorflow_recommenders"} & set(sys.modules)
"""

NOTHING = {
    "query_about": np.array([""]),
    "query_tastes": np.array([[""] * 4]),
    "query_age": np.array([np.nan]),
    "query_face": np.zeros([1, 3]),
}


@pytest.fixture(scope="module", params=[True, False], ids=["history tower", "one table"])
def reindexed(request, tmp_path_factory):
    """A model of 30 songs, and the same with 50."""
    folder = tmp_path_factory.mktemp("reindex")
    few, many = songs(num_candidates=30), songs(num_candidates=50)
    run = untrained_run(few, folder / "run", history_tower=request.param)
    old, new = export_run(run, folder / "old", few), folder / "new"
    signature = json.loads((old / "assets.extra" / "signatures.json").read_text())["embed_candidate"]
    raw = _raw(many, run, signature["inputs"])
    codes, values = filter_codes(many.candidates, many.schema.candidates.features)
    arrays = raw, many.train.counts().astype(np.float32), codes, np.array(values)
    (folder / "arrays.pickle").write_bytes(pickle.dumps(arrays))
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "TF_USE_LEGACY_KERAS")
    }
    command = [sys.executable, "-c", REINDEX, str(old), str(folder / "arrays.pickle"), str(new)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return old, new, PythonModel(run, many, few), many


def _raw(dataset: Dataset, run, inputs) -> dict[str, np.ndarray]:
    made = candidate_inputs(dataset.schema.candidates.features, run.statistics.candidates, run.model.candidate_tower)
    assert set(made) == set(inputs)
    rows = np.arange(len(dataset.candidates))
    return request_values(made, dataset, {"query": rows, "candidate": rows})


def _defaults(path):
    content = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    signatures = content.meta_graphs[0].signature_def
    return {name: (sorted(entry.inputs), sorted(entry.defaults)) for name, entry in signatures.items()}


def test_signatures_and_their_defaults_are_kept(reindexed):
    old, new, _, _ = reindexed
    assert _defaults(new) == _defaults(old)
    assert len(_defaults(new)["recommend"][1]) > 5


def test_every_answer_is_by_the_new_candidates(reindexed, tmp_path):
    _, new, model, dataset = reindexed
    one = np.array(["s40"])
    length = dataset.schema.queries.history.length
    history = np.array([["s40", "s2"] + [""] * (length - 2)])
    artist = np.array([["artist=artist 3"] + [""] * 15])
    requests = [
        ("similar", {"candidate_id": one, "k": np.array([50], np.int32)}),
        ("recommend", {"query_id": np.array(["q1"]), "history": history, "k": np.array([50], np.int32)}),
        ("recommend", {"query_id": np.array(["nobody"]), "allow": artist, "k": np.array([50], np.int32)}),
        ("embed_query", {"query_id": np.array(["q1"]), "history": history}),
        ("recommend", {"query_id": np.array(["q1"]), "k": np.array([50], np.int32)}),
        ("embed_query", {"query_id": np.array(["q1"])}),
    ]
    [[similar, recommended, popular, embedded, alone, embedded_alone]] = ask_stock_runtime([(new, requests)], tmp_path)
    cosines = model.cosines(model.vectors[40:41] - model.vectors.mean(axis=0))[0]
    cosines[40] = -np.inf
    check_ranking(model, similar, 0, cosines, 50)
    scores = embedded["vectors"] @ model.vectors.T
    scores[0, [40, 2, *model.stored("q1")]] = -np.inf
    check_ranking(model, recommended, 0, scores[0], 50)
    assert recommended["source"].tolist() == [b"history"]
    scores = model.query({"query_id": np.array(["q1"])}, NOTHING | {"history": np.array([[""] * length])})
    np.testing.assert_allclose(embedded_alone["vectors"], scores, rtol=1e-4, atol=1e-5)
    scores = scores @ model.vectors.T
    scores[0, model.stored("q1")] = -np.inf
    check_ranking(model, alone, 0, scores[0], 50)
    assert alone["source"].tolist() == [b"query"] and len(model.stored("q1")) > 1
    expected = np.where(np.arange(50) % 5 == 3, dataset.train.counts(), -np.inf)
    check_ranking(model, popular, 0, expected, 50)
    assert popular["source"].tolist() == [b"popular"]


def test_a_new_candidate_in_a_history_counts(reindexed, tmp_path):
    old, new, model, dataset = reindexed
    length = dataset.schema.queries.history.length
    history = np.array([["s40"] + [""] * (length - 1)])
    request = [("embed_query", {"query_id": np.array([""]), "history": history})]
    [[before], [after]] = ask_stock_runtime([(old, request), (new, request)], tmp_path)
    nothing = np.array([[""] * length])
    empty = np.array([""])
    np.testing.assert_allclose(
        before["vectors"], model.query({"query_id": empty, "history": nothing}, NOTHING), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        after["vectors"], model.query({"query_id": empty, "history": history}, NOTHING), rtol=1e-4, atol=1e-5
    )
    assert np.abs(before["vectors"] - after["vectors"]).max() > 1e-3
