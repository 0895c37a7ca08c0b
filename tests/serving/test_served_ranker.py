import numpy as np
import pytest
import tensorflow as tf

from tests.serving.catalogue import songs, untrained_run
from tfmmrec.serving.serve_run import serve_run


@pytest.fixture(scope="module")
def alone(ranking_run, song_dataset):
    return serve_run(ranking_run, song_dataset)


def test_it_scores_pairs(alone):
    assert set(alone.signatures_to_save) == {"serving_default", "score", "embed_candidate"}
    assert alone.serving_default is alone.score
    described = alone.description()["score"]
    assert described["required"] == ["query_id", "candidate_id"]
    names = {"query_id", "history", "query_age", "candidate_id", "candidate_title", "candidate_sound"}
    assert names <= set(described["inputs"])


def test_the_same_inputs_as_a_retrieval_model_s(alone, served):
    """Whichever model answers, clients send the same."""
    assert alone.description()["score"] == served.description()["score"]
    assert alone.description()["embed_candidate"] == served.description()["embed_candidate"]


def test_only_what_is_read_is_saved(alone, ranking_run):
    saved = {id(variable) for variable in alone.variables}
    assert {id(variable) for variable in ranking_run.model.trainable_variables} <= saved, "every trained weight is"
    assert len(saved) == sum(len(arrays) for arrays in alone.arrays().values()), "and nothing else"
    assert not [name for name in alone.weights if "draws" in name or "history_table" in name]


def test_histories_read_the_table(alone):
    """Other candidates count; those that are gone do not."""
    asked = {"query_id": tf.constant(["nobody"]), "history": tf.constant([["s1", "s2", "", "", ""]])}
    candidate = tf.constant(["s4"])
    before = alone.score(**asked, candidate_id=candidate)["scores"].numpy()
    kept = alone.index.parts.numpy()
    alone.index.replace(tf.constant(["new", "s1"]), tf.constant(kept[[7, 1]]))
    one = alone.score(**asked | {"history": tf.constant([["s1"] + [""] * 4])}, candidate_id=candidate)["scores"]
    np.testing.assert_array_equal(alone.score(**asked, candidate_id=candidate)["scores"], one)
    assert np.abs(before - one).max() > 1e-6
    alone.index.replace(tf.constant([f"s{row}" for row in range(30)]), tf.constant(kept))
    np.testing.assert_allclose(alone.score(**asked, candidate_id=candidate)["scores"], before, rtol=1e-5)


def test_a_model_without_histories_has_no_table(tmp_path):
    dataset = songs(history=False)
    alone = serve_run(untrained_run(dataset, tmp_path / "run", "mmal"), dataset)
    assert set(alone.signatures_to_save) == {"serving_default", "score"}
    assert alone.index.parts.shape[0] is None and tf.shape(alone.index.parts)[0] == 0
    found = alone.score(tf.constant(["q1", "nobody"]), tf.constant(["s1", "s1"]))["scores"]
    assert np.isfinite(found).all() and found[0] != found[1]
