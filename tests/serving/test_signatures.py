import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.serving.catalogue import untrained_run
from tfmmrec.data.dataset import dataset_from_frames
from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.encoders.saved_model import SavedModelEncoder
from tfmmrec.fusion.early import EarlyFusion
from tfmmrec.models.two_tower import TwoTower
from tfmmrec.search.content_sample import ContentSample
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.serving.serve_run import serve_run
from tfmmrec.serving.signatures import ServedModel
from tfmmrec.towers import Tower

SIGNATURES = {
    "serving_default",
    "recommend",
    "recommend_examples",
    "embed_query",
    "embed_candidate",
    "search",
    "similar",
    "score",
}


def test_all_signatures_are_there(served):
    assert set(served.signatures_to_save) == SIGNATURES == set(served.description())
    assert served.serving_default is served.recommend


def test_only_what_is_read_is_saved(served, song_run):
    """No dropout counters, no loss trackers, no history table: exactly what the signatures read."""
    names = set(served.weights)
    assert "candidate_tower/encoders/title/embeddings" in names
    assert "candidate_tower/encoders/id/lookup/fingerprints" in names
    assert not [name for name in names if "draws" in name or "tracker" in name or "table" in name]
    ids = [name for name in names if name.startswith("history_tower/encoders/id/")]
    assert ids == ["history_tower/encoders/id/embeddings"], "its lookup is the candidate tower's"
    saved = {id(variable) for variable in served.variables}
    weights = {id(variable) for variable in song_run.model.trainable_variables}
    assert weights <= saved, "every trained weight is saved"
    own = (served.index, served.query_histories, served.content_sample)
    parts = (served.weights, *(part.arrays() for part in own))
    assert len(saved) == sum(map(len, parts)), "and nothing else"


def test_a_catalogue_of_ids_alone_has_no_search(tmp_path):
    log = pd.DataFrame({"q": list("aaabbbccc"), "c": list("xyzxyzxyz")})
    schema = {"interactions": {"path": "-", "query": "q", "candidate": "c", "split": {"method": "leave_one_out"}}}
    dataset = dataset_from_frames(schema, log)
    served = serve_run(untrained_run(dataset, tmp_path / "run"), dataset)
    assert set(served.signatures_to_save) == SIGNATURES - {"search"}
    found = served.recommend(tf.constant(["a"]), k=tf.constant([2]))
    assert np.isfinite(found["scores"]).all() and found["source"].numpy()[0] == b"query"
    assert np.isfinite(served.embed_candidate(tf.constant(["x"]))["vectors"]).all()


def test_the_query_id_is_all_that_must_be_sent(served):
    """Whichever model answers, clients send the same: the conformance tests ask all of them so."""
    described = served.description()
    assert [described[name]["required"] for name in ("recommend", "embed_query")] == [["query_id"]] * 2
    assert described["score"]["required"][0] == "query_id"


class _Lookup(tf.Module):
    """A reusable SavedModel whose graph needs more than variables: a table, filled from a file."""

    def __init__(self, words):
        super().__init__()
        initializer = tf.lookup.TextFileInitializer(
            words, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(initializer, -1)
        self.embeddings = tf.Variable(np.eye(4, 3, dtype=np.float32) + 1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, text):
        return tf.gather(self.embeddings, self.table.lookup(text) + 1)


@pytest.mark.parametrize("mode", ["frozen", pytest.param("cached", marks=pytest.mark.slow)])
def test_a_pretrained_encoder_brings_its_files(mode, song_run, tmp_path, run_python):
    (tmp_path / "words.txt").write_text("slow fast\nwarm cold\n")
    tf.saved_model.save(_Lookup(str(tmp_path / "words.txt")), str(tmp_path / "encoder"))
    (tmp_path / "words.txt").unlink()
    encoder = SavedModelEncoder(str(tmp_path / "encoder"), "text", mode=mode, name="title")
    query_tower = Tower({"id": IdentifierEncoder(["q1"], 4, name="id")}, EarlyFusion(dim=4), name="query_tower")
    model = TwoTower(
        query_tower,
        Tower({"title": encoder}, EarlyFusion(dim=4), name="candidate_tower"),
        num_candidates=3,
        candidate_counts=np.ones(3),
    )
    model.build_towers()
    index = ExactIndex(["a", "b", "c"], np.random.default_rng(0).normal(size=(3, 4)))
    histories = QueryHistories(["q1"], np.array([0, 2]), np.array([0, 2]), ["a", "b", "c"])
    words = {"vector": np.ones((2, 3), np.float32), "present": np.array([True, False])}
    served = ServedModel(
        model, index, histories, ContentSample({"title": words}), song_run.config.data_schema, song_run.statistics
    )
    tf.saved_model.save(served, str(tmp_path / "out"), signatures=served.signatures_to_save)
    shutil.rmtree(tmp_path / "encoder")
    done = run_python(
        "import json, tensorflow as tf\n"
        f"model = tf.saved_model.load({str(tmp_path / 'out')!r})\n"
        "print(json.dumps(model.embed_candidate(tf.constant(['slow fast', 'warm cold']))['vectors'].numpy().tolist()))"
    )
    assert done.returncode == 0, done.stderr
    expected = served.embed_candidate(tf.constant(["slow fast", "warm cold"]))["vectors"].numpy()
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    np.testing.assert_allclose(json.loads(done.stdout), expected, atol=1e-5)
