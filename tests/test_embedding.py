import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conformance.models import (
    HISTORY_LENGTH,
    NUM_CANDIDATES,
    NUM_QUERIES,
    ModelCase,
    catalogue,
    named,
    ready,
)
from tfmmrec import embedding
from tfmmrec.data.dataset import dataset_from_frames
from tfmmrec.data.histories import full_histories
from tfmmrec.embedding import preprocess_entities, raw_batch, raw_inputs
from tfmmrec.schema import Feature

ROWS = np.array([5, 0, 2, 0])


@pytest.fixture(scope="module")
def made():
    """A two-tower model whose history has vectors of its own, with weights away from where they start."""
    made = ready(ModelCase("known queries", "two_tower", {"query_id": True}))
    for number, variable in enumerate(made.model.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 3], stddev=0.3))
    return made


def raw(name, rows=ROWS, **options):
    feature = catalogue().schema.candidates.features.get(name)
    return raw_batch(catalogue().candidates, name, feature, rows, **options)


def test_raw_values_by_kind():
    assert raw("id").tolist() == ["c5", "c0", "c2", "c0"]
    titles = raw("title").tolist()  # row 0 has none
    assert titles[1] == titles[3] == "" and len(titles[0].split()) == len(titles[2].split()) == 3
    assert raw("genre").tolist()[2] == ""
    photos = raw("photo", np.array([1, 2])).tolist()
    assert photos[0] == b"" and photos[1].startswith(b"\x89PNG")
    prices = raw("price")
    assert prices.dtype == np.float32 and np.isnan(prices[0]) and np.isfinite(prices[1:]).all()
    looks = raw("look", np.array([6, 7]))
    assert looks.shape == (2, 3) and looks.dtype == np.float32
    assert np.isnan(looks[0]).all() and np.isfinite(looks[1]).all()


def test_lists_are_padded_and_cut_to_the_width_of_the_schema():
    frame = pd.DataFrame({"id": ["a", "b", "c"], "tags": [["x", None, "y", "z", "u"], None, []]})
    schema = {
        "interactions": {"query": "q", "candidate": "c", "split": {"method": "leave_one_out", "valid": 0}},
        "candidates": {"id": "id", "features": {"tags": {"kind": "category", "max_values": 3}}},
    }
    log = pd.DataFrame({"q": ["1"] * 5, "c": ["a", "b", "c", "a", "b"]})
    dataset = dataset_from_frames(schema, log, frame)
    feature = Feature(kind="category", max_values=3)
    found = raw_batch(dataset.candidates, "tags", feature, np.arange(3), is_list=True)
    assert found.tolist() == [["x", "y", "z"], ["", "", ""], ["", "", ""]]


def test_a_tower_s_raw_inputs(made):
    dataset = catalogue()
    found = raw_inputs(made.model.query_tower, dataset.queries, dataset.schema.queries.features, ROWS)
    assert set(found) == {"id", "about", "age", "region"}  # the history has no raw value
    assert found["id"].tolist() == ["q5", "q0", "q2", "q0"]
    lists = raw_inputs(made.model.candidate_tower, dataset.candidates, dataset.schema.candidates.features, ROWS)
    assert lists["tags"].shape == (4, 3) and lists["tags"][0, 2] == ""


def test_a_side_is_preprocessed_once_in_batches_of_any_size(made):
    dataset, told = catalogue(), []
    arguments = (made.model.candidate_tower, dataset.candidates, dataset.schema.candidates.features)
    whole = preprocess_entities(*arguments, cached=("photo",))
    parts = preprocess_entities(*arguments, ("photo",), batch_size=7, progress=lambda *what: told.append(what))
    for name, tensors in whole.items():
        for key, array in tensors.items():
            np.testing.assert_allclose(parts[name][key], array, rtol=1e-4, atol=1e-5, err_msg=f"{name}.{key}")
    assert set(whole["photo"]) == {"vector", "present"}  # its encoder has run
    assert whole["photo"]["present"].tolist() == [row != 1 for row in range(NUM_CANDIDATES)]
    assert "vector" not in whole["title"]  # its encoder has not
    assert [done for what, done, _ in told if what == "title"] == [7, 14, 21, 28, 30]
    assert {total for _, _, total in told} == {NUM_CANDIDATES}
    assert set(preprocess_entities(*arguments, only=("price", "id"))) == {"id", "price"}


def test_tables_of_cached_features_hold_terms_for_fusions_that_read_them(made, monkeypatch):
    dataset, tower = catalogue(), made.model.candidate_tower
    arguments = (tower, dataset.candidates, dataset.schema.candidates.features, ("title",), ("title",))
    assert set(preprocess_entities(*arguments)["title"]) == {"vector", "present"}
    monkeypatch.setattr(tower.fusion, "reads_terms", True, raising=False)
    found = preprocess_entities(*arguments)["title"]
    words = preprocess_entities(tower, dataset.candidates, dataset.schema.candidates.features, only=("title",))["title"]
    expected = tower.encoders["title"](words)
    assert set(found) == {"vector", "present", "terms", "term_weights"}
    np.testing.assert_array_equal(found["terms"], expected["terms"])
    np.testing.assert_allclose(found["term_weights"], expected["term_weights"], rtol=1e-6)


def test_large_tables_lie_on_disk(made, monkeypatch):
    monkeypatch.setattr(embedding, "_MEMORY_LIMIT_BYTES", 100)
    dataset = catalogue()
    arguments = (made.model.query_tower, dataset.queries, dataset.schema.queries.features)
    tables = preprocess_entities(*arguments)
    assert isinstance(tables["about"]["words"], np.memmap)
    assert not isinstance(tables["id"]["row"], np.memmap)  # 24 rows of 4 bytes
    monkeypatch.undo()
    np.testing.assert_array_equal(tables["about"]["words"], preprocess_entities(*arguments)["about"]["words"])


def test_vectors_of_candidates_do_not_depend_on_the_batch(made):
    whole = made.embedder.candidates()
    assert whole.dtype == np.float32 and whole.shape == (NUM_CANDIDATES, 8)
    np.testing.assert_allclose(made.embedder.candidates(batch_size=7), whole, rtol=1e-4, atol=1e-5)


def test_vectors_that_histories_pool(made):
    pooled = made.embedder.history_vectors()
    inputs = embedding.gather(made.embedder.candidate_tables, np.arange(NUM_CANDIDATES))
    np.testing.assert_allclose(pooled, made.model.embed_history(inputs), rtol=1e-4, atol=1e-5)
    assert not np.allclose(pooled, made.embedder.candidates())
    assert ready(named("sampled softmax")).embedder.history_vectors() is None  # the candidates' own
    assert ready(named("id_only")).embedder.history_vectors() is None


def test_vectors_of_queries_with_their_histories(made):
    train, candidates = catalogue().train, made.embedder.candidates()
    rows = np.array([3, 0, NUM_QUERIES - 1])
    found = made.embedder.queries(rows, candidates, train)
    inputs = embedding.gather(made.embedder.query_tables, rows)
    inputs["history"] = {"rows": full_histories(train, rows, HISTORY_LENGTH)}
    expected = made.model.embed_queries(inputs, tf.constant(made.embedder.history_vectors()))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        made.embedder.queries(rows, candidates, train, batch_size=2), found, rtol=1e-4, atol=1e-5
    )
    inputs["history"]["rows"] = np.full((3, HISTORY_LENGTH), -1, np.int32)
    without = made.model.embed_queries(inputs, tf.constant(made.embedder.history_vectors()))
    np.testing.assert_allclose(made.embedder.queries(rows, candidates), without, rtol=1e-4, atol=1e-5)
    assert not np.allclose(found, without)


def test_histories_pool_the_given_vectors_where_there_are_no_others():
    made = ready(named("sampled softmax"))
    train, rows = catalogue().train, np.arange(4)
    candidates = made.embedder.candidates()
    one = made.embedder.queries(rows, candidates, train)
    other = made.embedder.queries(rows, np.zeros_like(candidates), train)
    assert not np.allclose(one, other)
