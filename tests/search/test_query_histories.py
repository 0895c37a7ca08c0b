import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders.vocabulary import VocabularyLookup
from tfmmrec.search import QueryHistories
from tfmmrec.types import UsageError

CHOSEN = {"first": [], "ann": ["c", "a"], "nothing": [], "bob": ["b"], "cid": ["a", "c", "d"], "last": []}
CATALOGUE = ["a", "b", "c", "d"]


def _histories(chosen):
    catalogue = sorted({*CATALOGUE, *(id for ids in chosen.values() for id in ids)})
    indptr = np.concatenate([[0], np.cumsum([len(ids) for ids in chosen.values()])]).astype(np.int64)
    places = [catalogue.index(id) for ids in chosen.values() for id in ids]
    return QueryHistories(list(chosen), indptr, np.array(places, np.int64), catalogue)


def _rows(histories, query_ids, catalogue=CATALOGUE):
    return histories(tf.constant(query_ids, tf.string, [len(query_ids)]), VocabularyLookup(catalogue))


def test_a_batch_of_known_and_unknown_queries():
    found = _rows(_histories(CHOSEN), ["bob", "nobody", "ann", "", "nothing", "cid", "first", "last"])
    none = [-1, -1, -1]
    assert found.dtype == tf.int32
    assert found.numpy().tolist() == [[1, -1, -1], none, [2, 0, -1], none, none, [0, 2, 3], none, none]


def test_as_wide_as_the_longest_of_the_batch():
    histories = _histories(CHOSEN)
    assert _rows(histories, ["bob", "ann"]).shape == (2, 2)
    assert _rows(histories, ["nobody"]).numpy().tolist() == [[-1]]
    assert _rows(histories, []).shape == (0, 1)


@pytest.mark.parametrize("chosen", [{}, {"ann": [], "bob": []}], ids=["no queries", "nothing chosen"])
def test_nobody_has_a_history(chosen):
    assert _rows(_histories(chosen), ["ann", "", "nobody"]).numpy().tolist() == [[-1], [-1], [-1]]


def test_other_candidates_are_found_by_their_ids():
    histories = _histories(CHOSEN)
    assert _rows(histories, ["ann", "cid"], ["d", "new", "c"]).numpy().tolist() == [[2, -1, -1], [-1, 2, 0]]
    assert _rows(histories, ["ann", "cid"], []).numpy().tolist() == [[-1] * 3] * 2


def test_it_agrees_with_a_dict():
    random = np.random.default_rng(0)
    catalogue = [f"c{i}" for i in range(50)]
    chosen = {f"q{i}": list(random.choice(catalogue, random.integers(0, 9), replace=False)) for i in range(200)}
    asked = [f"q{i}" for i in random.permutation(300)]
    found = _rows(_histories(chosen), asked, catalogue).numpy()
    for row, query in zip(found, asked, strict=True):
        ids = chosen.get(query, [])
        assert row.tolist() == [int(id[1:]) for id in ids] + [-1] * (found.shape[1] - len(ids))


def test_a_saved_one_is_given_other_histories(tmp_path):
    module = tf.Module()
    module.histories, module.candidates = _histories(CHOSEN), VocabularyLookup(CATALOGUE)
    module.rows = tf.function(
        lambda ids: module.histories(ids, module.candidates), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    asked = tf.constant(["ann", "dora"])
    assert loaded.rows(asked).numpy().tolist() == [[2, 0], [-1, -1]]
    more = _histories({"dora": ["d", "b", "a"], **CHOSEN})
    loaded.histories.lookup.fingerprints.assign(more.lookup.fingerprints)
    loaded.histories.lookup.rows.assign(more.lookup.rows)
    loaded.histories.starts.assign(more.starts)
    loaded.histories.candidates.assign(more.candidates)
    assert loaded.rows(asked).numpy().tolist() == [[2, 0, -1], [3, 1, 0]]


def test_its_arrays():
    arrays = _histories(CHOSEN).arrays()
    assert {name: list(array.numpy().shape) for name, array in arrays.items()} == {
        "query_fingerprints": [3],
        "query_rows": [3],
        "starts": [4],
        "candidates": [6],
    }, "queries without a history take no room"
    assert arrays["starts"].numpy().tolist() == [0, 2, 3, 6]
    assert arrays["candidates"].dtype == tf.int64


def test_arrays_that_do_not_fit():
    message = "2 queries with 1 chosen candidates need an indptr of 3 numbers up to 1, got 2 up to 1"
    with pytest.raises(UsageError, match=message):
        QueryHistories(["a", "b"], np.array([0, 1]), np.array([0]), ["x"])
    with pytest.raises(UsageError, match="got 2 up to 3"):
        QueryHistories(["a"], np.array([0, 3]), np.array([0]), ["x"])
