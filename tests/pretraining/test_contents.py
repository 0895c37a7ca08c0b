import numpy as np
import pytest
import tensorflow as tf

from tests.pretraining.flowers import NUM_ABSENT, flowers
from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.fashion import write_fashion
from tfmmrec.pretraining.contents import Catalogue, catalogue_of, load_catalogue, read_contents
from tfmmrec.types import DataError


def some(dataset, rows):
    return Catalogue(dataset.schema.candidates.features, dataset.candidates, rows)


def length(raw):
    return {"length": tf.strings.length(raw)}


def test_each_content_is_read_once():
    dataset = flowers()
    texts = dataset.candidates.features["text"].to_pylist()
    rows = np.array([0, 1, 2, 1, *range(3, len(texts)), 0])
    told = []
    found = read_contents(some(dataset, rows), {"text": length}, lambda *what: told.append(what))
    assert (found.num_candidates, found.num_absent, found.num_repeated) == (len(rows), NUM_ABSENT, 2)
    expected = [len(text) for text in texts[:-NUM_ABSENT]]
    assert len(found) == len(expected)
    np.testing.assert_array_equal(found.tensors["text"]["length"], expected)
    np.testing.assert_array_equal(found.batch(np.array([2, 0]))["text"]["length"], [expected[2], expected[0]])
    assert told[-1] == ("reading text", len(rows), len(rows))


def test_of_two_features_both_have_to_be_there():
    dataset = flowers()
    halves = {"text": lambda raw: {"first": tf.strings.substr(raw, 0, 1) == "r"}, "picture": length}
    found = read_contents(catalogue_of(dataset), halves)
    assert found.num_absent == NUM_ABSENT and found.num_repeated == 0
    assert len(found.tensors["picture"]["length"]) == len(found.tensors["text"]["first"]) == len(found)
    assert any("cannot be" in str(issue) or "picture" in str(issue) for issue in dataset.candidates.issues)


def test_equal_contents_of_a_feature_are_of_one_group():
    dataset = flowers(is_numbered=False)
    found = read_contents(catalogue_of(dataset), {"text": length, "picture": length})
    texts = np.array(dataset.candidates.features["text"].to_pylist()[:-NUM_ABSENT])
    groups = found.tensors["text"]["group"]
    np.testing.assert_array_equal(groups[:, None] == groups, texts[:, None] == texts)
    assert len(set(groups.tolist())) <= 24 and len(set(found.tensors["picture"]["group"].tolist())) == len(texts)


def test_what_the_encoder_cannot_use_is_left_out():
    dataset = flowers()
    found = read_contents(
        catalogue_of(dataset),
        {"text": lambda raw: length(raw) | {"usable": tf.strings.regex_full_match(raw, "red.*")}},
    )
    red = [text for text in dataset.candidates.features["text"].to_pylist() if text and text.startswith("red")]
    np.testing.assert_array_equal(found.tensors["text"]["length"], [len(text) for text in red])
    assert found.num_absent == len(dataset.candidates) - len(red)


def test_too_few_are_refused():
    with pytest.raises(
        DataError, match=r"text: pretraining needs at least 16 different contents, found 15 in 16 .*1 r"
    ):
        read_contents(some(flowers(), np.array([*range(15), 0])), {"text": length})


def test_the_cold_may_stay_out():
    dataset = flowers()
    cold = np.flatnonzero(dataset.cold_candidates)
    assert len(cold) and not set(cold) & set(catalogue_of(dataset, with_cold=False).rows)
    assert len(catalogue_of(dataset).rows) == len(dataset.candidates)


def test_a_catalogue_needs_no_interactions(tmp_path):
    write_fashion(tmp_path, num_candidates=100, num_queries=40, num_interactions=400)
    whole = catalogue_of(load_dataset(tmp_path))
    for name in ("train.parquet", "test.parquet", "queries.csv"):
        (tmp_path / name).unlink()
    found = load_catalogue(tmp_path)
    assert found.name == tmp_path.name and len(found.rows) == 100
    one, other = (read_contents(catalogue, {"title": length}) for catalogue in (whole, found))
    assert one.fingerprint == other.fingerprint and len(one) == len(other)
    fewer = read_contents(Catalogue(found.features, found.candidates, found.rows[:-1]), {"title": length})
    assert fewer.fingerprint != one.fingerprint
