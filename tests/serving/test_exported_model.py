import shutil

import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.serving.exported_model import load_exported, read_extra
from tfmmrec.types import DataError, UsageError


@pytest.fixture
def model(loaded):
    return loaded


def test_a_signature_is_asked_for_one_row(model, served):
    found = model.ask("recommend", query_id="q1", history=["s1", "s2"], k=3)
    history = tf.constant([["s1", "s2", "", "", ""]])
    expected = served.recommend(tf.constant(["q1"]), history=history, k=tf.constant([3]))
    assert found["candidate_ids"].tolist() == [id.decode() for id in expected["candidate_ids"][0].numpy()]
    np.testing.assert_allclose(found["scores"], expected["scores"][0], atol=1e-5)
    assert found["source"] == "history" and len(found["scores"]) == 3
    few = model.ask("recommend", query_id="q1", k=30, allow="artist=artist 1")
    assert 0 < len(few["candidate_ids"]) == len(few["scores"]) < 30 and np.isfinite(few["scores"]).all()
    found = model.ask("embed_query", query_face=[1.0, 2.0, 3.0], query_tastes="rock")
    assert found["vectors"].shape == (8,), "the key is missing, and the model is told so"


def test_whose_history_it_has(model):
    assert model.knows_query("q1")
    assert not model.knows_query("nobody") and not model.knows_query("")


def test_what_its_towers_look_at_and_which_values_they_know(model):
    assert model.looks_at("query", "age") and model.looks_at("candidate", "genre")
    assert not model.looks_at("query", "genre") and not model.looks_at("query", "ag")
    assert model.knows_value("candidate", "genre", "folk") and not model.knows_value("candidate", "genre", "polka")
    assert model.knows_value("query", "age", "anything"), "a number has no vocabulary"


def test_which_filter_values_candidates_have(model):
    values = ["genre=folk", "genre=polka", "artist=artist 4", "artist=artist 5"]
    assert model.absent_values(values) == ["genre=polka", "artist=artist 5"]
    assert model.absent_values([]) == []


def test_of_two_models_either_may_look(loaded_cascade, monkeypatch):
    model = loaded_cascade
    assert model.looks_at("query", "age") and not model.looks_at("query", "genre")
    own = {name: value for name, value in model._module.weights.items() if name.startswith("ranker/")}
    monkeypatch.setattr(model._module, "weights", own)
    assert model.looks_at("query", "age") and model.knows_value("candidate", "genre", "folk")
    assert not model.knows_value("candidate", "genre", "polka")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"color": "red"}, "recommend takes query_id, .*; not color"),
        ({"history": ["s1"] * 6}, "history takes at most 5 entries, got 6"),
        ({"query_age": "old"}, "query_age must be float32, got 'old'"),
        ({"query_face": [1.0]}, r"query_face must have the shape \[3\], got \[1\]"),
        ({"k": 1001}, "k must lie in 1 to 1000, got 1001"),
        ({"deny": ["gerne=folk"]}, "by 'gerne', only by genre, mood, artist; did you mean 'genre'"),
    ],
)
def test_inputs_that_do_not_fit(model, inputs, message):
    with pytest.raises(UsageError, match=message):
        model.ask("recommend", **inputs)


def test_an_unknown_signature(model):
    with pytest.raises(UsageError, match="has no signature 'predict', only embed_candidate, "):
        model.ask("predict")


def test_display_columns(model, song_dataset):
    titles = song_dataset.candidates.display["title"].to_pylist()
    shown = model.display_of(["s4", "nobody", "s0"])
    assert [entry.get("title") for entry in shown] == [titles[4], None, titles[0]] and shown[1] == {}
    assert model.rows_of(["s4", "nobody"]) == [4, -1]
    assert model.display_of([]) == []


def test_the_newest_version_of_a_name(exported, tmp_path):
    for version in ("1", "2"):
        shutil.copytree(exported, tmp_path / version)
    assert load_exported(tmp_path).path == str(tmp_path / "2")
    assert read_extra(tmp_path / "1", "model.json")["run_id"] == "run-7"


def test_what_is_no_export(exported, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        load_exported(tmp_path / "nowhere")
    module = tf.Module()
    module.v = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path / "other"))
    with pytest.raises(DataError, match="is a SavedModel, but `tfmmrec export` did not write it"):
        load_exported(tmp_path / "other")
    broken = tmp_path / "broken"
    shutil.copytree(exported, broken)
    (broken / "saved_model.pb").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="cannot be loaded; export the model again"):
        load_exported(broken)
    (broken / "assets.extra" / "schema.json").write_text("{}")
    with pytest.raises(DataError, match="assets.extra: cannot be read; export the model again"):
        load_exported(broken)
