import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.serving.raw_encoding import encode_candidates


@pytest.fixture
def model(loaded):
    return loaded


def test_vectors_are_those_of_the_index(model, song_dataset):
    rows, told = np.array([2, 5, 29]), []
    features = list(song_dataset.schema.candidates.features)
    found = encode_candidates(model, song_dataset.candidates, rows, features, lambda *what: told.append(what))
    assert found.rows.tolist() == [2, 5, 29] and not found.unusable and told == [("encoding", 3, 3)]
    np.testing.assert_allclose(found.tables["vectors"], model.vectors_of(["s2", "s5", "s29"]), rtol=1e-4, atol=1e-5)
    assert set(found.tables) == {"vectors", "history_vectors"}


def test_only_what_is_looked_at_is_read(model, song_dataset, monkeypatch):
    asked = []
    made = {"vectors": np.zeros((1, 2), np.float32)}
    monkeypatch.setattr(model, "ask_many", lambda signature, **inputs: asked.append(inputs) or made)
    encode_candidates(model, song_dataset.candidates, np.array([4]), ["length", "mood"])
    assert set(asked[0]) == {"candidate_id", "candidate_length", "candidate_mood"}, "no other, and what is required"


def test_one_that_cannot_be_encoded_does_not_keep_it_from_the_others(model, song_dataset, monkeypatch):
    """The graph refuses s3 and s11; of s6 it makes what is no number."""
    sizes = []

    def ask_many(signature, **inputs):
        ids = inputs["candidate_id"]
        sizes.append(len(ids))
        if {"s3", "s11"} & set(ids):
            raise tf.errors.InvalidArgumentError(None, None, "it is broken\nin the middle")
        return {"vectors": np.array([[np.inf if id == "s6" else float(id[1:])] for id in ids], np.float32)}

    monkeypatch.setattr(model, "ask_many", ask_many)
    found = encode_candidates(model, song_dataset.candidates, np.arange(16), ["title"])
    kept = [row for row in range(16) if row not in (3, 6, 11)]
    assert sorted(found.rows.tolist()) == kept
    np.testing.assert_array_equal(found.tables["vectors"][:, 0], found.rows)
    assert found.unusable == {3: "it is broken", 11: "it is broken", 6: "it has no finite vector"}
    assert sizes[:4] == [16, 8, 4, 2], "halves, not one by one"


def test_nothing_to_encode(model, song_dataset):
    found = encode_candidates(model, song_dataset.candidates, np.zeros(0, np.int64), ["title"])
    assert not found.tables and not len(found.rows)
