import numpy as np
import pytest
import tensorflow as tf

from tests.graphs import _graphs_as_saved  # noqa: F401
from tfmmrec.search.admission import admission
from tfmmrec.search.inverted_file import InvertedFileIndex
from tfmmrec.search.question import by_products
from tfmmrec.search.scann_cells import ScannCells
from tfmmrec.search.scann_ops import save_options
from tfmmrec.types import UsageError

pytest.importorskip("scann")

RANDOM = np.random.default_rng(0)
DIM, K = 7, 10  # an odd dimension: the last of the codes' blocks is shorter


def _vectors(size, dim=DIM):
    return RANDOM.normal(size=(size, dim)).astype(np.float32)


OLD, NEW = _vectors(400), _vectors(500)
QUERIES = _vectors(5)


class Model(tf.Module):
    """An index and one signature, which answers by the index's cells or not at all."""

    def __init__(self, vectors):
        super().__init__()
        cells = ScannCells(12, 12)
        self.index = InvertedFileIndex([str(row) for row in range(len(vectors))], vectors, cells=cells)

    @tf.function(input_signature=[tf.TensorSpec([None, DIM])], autograph=False)
    def best(self, queries):
        question = by_products(queries, tf.zeros(tf.shape(queries)[:1], tf.bool))
        values, rows, is_right = self.index.plain_head(question, tf.fill([tf.shape(queries)[0], 1], -1), tf.constant(K))
        return {"scores": values, "rows": rows, "is_right": is_right}

    @tf.function(input_signature=[tf.TensorSpec([1, DIM])], autograph=False)
    def answer(self, query):
        """As a signature answers: by all candidates where the cells' answer is short."""
        nothing = tf.constant([[""]])
        admitted = admission(self.index, nothing, nothing, nothing, tf.constant([[-1]]))
        return self.index.head(by_products(query, tf.constant([False])), admitted, tf.constant(K))[1]


def _exact(vectors):
    products = QUERIES @ vectors.T
    rows = np.argsort(-products, axis=1)[:, :K]
    return rows, np.take_along_axis(products, rows, axis=1)


def _is_found(answer, vectors):
    rows, scores = _exact(vectors)
    assert answer["is_right"]
    np.testing.assert_array_equal(answer["rows"], rows)
    np.testing.assert_allclose(answer["scores"], scores, rtol=1e-5, atol=1e-5)


def _replace(index, vectors):
    ids = tf.constant([str(row) for row in range(len(vectors))])
    codes = tf.fill([len(vectors), 1], -1)
    index.replace(ids, tf.constant(vectors), tf.zeros([len(vectors)]), codes, tf.zeros([0], tf.string))


def test_an_export_is_given_other_candidates_once_each_time_it_is_loaded(tmp_path):
    model = Model(OLD)
    _is_found(model.best(tf.constant(QUERIES)), OLD)
    options = save_options({"kind": "scann"})
    tf.saved_model.save(model, str(tmp_path / "1"), options=options)

    first = tf.saved_model.load(str(tmp_path / "1"))
    _is_found(first.best(tf.constant(QUERIES)), OLD)
    _replace(first.index, NEW)
    assert not first.best(tf.constant(QUERIES))["is_right"], "its searcher is that of the old ones: it is not believed"
    np.testing.assert_array_equal(first.answer(tf.constant(QUERIES[:1])), _exact(NEW)[0][:1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="load the export anew to give it other candidates"):
        _replace(first.index, OLD)
    tf.saved_model.save(first, str(tmp_path / "2"), options=options)

    second = tf.saved_model.load(str(tmp_path / "2"))
    _is_found(second.best(tf.constant(QUERIES)), NEW)
    again = tf.saved_model.load(str(tmp_path / "1"))
    _is_found(again.best(tf.constant(QUERIES)), OLD)
    few = tf.saved_model.load(str(tmp_path / "2"))
    _replace(few.index, OLD[:16])
    tf.saved_model.save(few, str(tmp_path / "3"), options=options)
    third = tf.saved_model.load(str(tmp_path / "3"))
    _is_found(third.best(tf.constant(QUERIES)), OLD[:16])
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 16 candidates"):
        _replace(third.index, OLD[:15])


def test_fewer_cells_find_fewer():
    cells = ScannCells(12, 1)
    InvertedFileIndex([str(row) for row in range(400)], OLD, cells=cells)
    read = [cells.scan(tf.constant(QUERIES[:1]), False, tf.constant(number)) for number in (1, 4, 12)]
    sizes = [int(tf.size(rows)) for rows, _ in read]
    assert 0 < sizes[0] < sizes[1] < sizes[2] == 400
    assert [rows.shape[0] for rows, _ in read] == [products.shape[1] for _, products in read]
    rows, products = read[-1]
    assert sorted(rows.numpy()) == list(range(400))
    exact = QUERIES[0] @ OLD[rows.numpy()].T
    assert np.corrcoef(products[0], exact)[0, 1] > 0.9
    some = cells.scan(tf.constant(QUERIES[:1]), False, tf.constant(12), tf.constant(30))
    np.testing.assert_array_equal(some.rows, rows[:30])


def test_a_query_that_is_no_number_is_answered():
    cells = ScannCells(3, 1)
    InvertedFileIndex([str(row) for row in range(40)], OLD[:40], cells=cells)
    rows, products = cells.scan(tf.fill([1, DIM], np.nan), False, tf.constant(3))
    assert sorted(rows.numpy()) == list(range(40)) and np.isfinite(products).all()


def test_no_probes():
    with pytest.raises(UsageError, match="at least 1 cell, got 0 probes"):
        ScannCells(4, 0)
