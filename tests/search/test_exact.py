import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.admission import admission
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.question import by_cosines, by_products
from tfmmrec.types import UsageError

IDS = ["a", "b", "ü", "d"]
VECTORS = np.array([[3, 4], [0, 2], [-1, 0], [0, 0]], np.float32)


def _scores(index, question):
    """Of all candidates in the order of their rows, by the whole ranking."""
    nothing = tf.fill([int(question.size), 1], "")
    admitted = admission(index, nothing, nothing, nothing, tf.fill([int(question.size), 1], -1))
    values, rows = index.head(question, admitted, index.num_candidates)
    return np.take_along_axis(values.numpy(), np.argsort(rows, axis=1), axis=1)


def _products(index, queries, is_popular=None):
    is_popular = np.zeros(len(queries), bool) if is_popular is None else is_popular
    return _scores(index, by_products(tf.constant(queries, tf.float32), tf.constant(is_popular)))


def _cosines(index, differences):
    known = tf.ones([len(differences)], tf.bool)
    return _scores(index, by_cosines(tf.constant(differences, tf.float32), known))


@pytest.fixture
def index():
    return ExactIndex(IDS, VECTORS, popularity=[5, 0, 1, 2], codes=[[0], [1], [0], [-1]], values=["t=x", "t=y"])


def test_ids_have_rows(index):
    np.testing.assert_array_equal(index.rows_of(tf.constant([["d", "ü"], ["", "z"]])), [[3, 2], [-1, -1]])
    assert int(index.num_candidates) == 4


def test_scores_and_cosines(index):
    queries = np.array([[2, 0], [0, 0]], np.float32)
    np.testing.assert_allclose(_products(index, queries), [[6, 0, -2, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(_products(index, queries, [False, True]), [[6, 0, -2, 0], [5, 0, 1, 2]])
    np.testing.assert_allclose(_products(index, queries, [True, True]), [[5, 0, 1, 2]] * 2)
    center = VECTORS.mean(axis=0)
    np.testing.assert_allclose(index.center, center)
    expected = (VECTORS - center)[:, 0] / np.linalg.norm(VECTORS - center, axis=1)
    np.testing.assert_allclose(_cosines(index, queries), [expected, np.zeros(4)], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [7, 10_000])
def test_nothing_distinguishes_candidates_that_are_all_alike(size):
    vector = 80 * np.random.default_rng(0).normal(size=64).astype(np.float32)
    index = ExactIndex([str(row) for row in range(size)], np.tile(vector, (size, 1)))
    assert not index.differences(tf.constant([0, 3])).numpy().any()
    assert not _cosines(index, np.random.default_rng(1).normal(size=(2, 64))).any()


def test_whether_a_query_tells_candidates_apart():
    """The last of many differs, seen where the first do not."""
    vectors = np.ones((3000, 2), np.float32)
    index = ExactIndex([str(row) for row in range(3000)], vectors)
    queries = tf.constant([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    assert index.tells_apart(queries).numpy().tolist() == [False, False, False]
    vectors[-1] = [2, 1]
    index = ExactIndex([str(row) for row in range(3000)], vectors)
    assert index.tells_apart(queries).numpy().tolist() == [True, False, False]


def test_nothing_distinguishes_an_only_candidate():
    index = ExactIndex(["a"], np.ones((1, 2)))
    np.testing.assert_array_equal(_cosines(index, np.ones((1, 2))), [[0]])


def test_other_candidates_and_more_of_them(index):
    vectors = np.eye(6, 2, dtype=np.float32) + 1
    ids = ["n0", "n1", "d", "n3", "n4", "n5"]
    values = tf.constant(["t=y", "s=m", "t=z"])
    index.replace(tf.constant(ids), vectors, np.arange(6, dtype=np.float32), np.array([[0, 1]] * 6, np.int32), values)
    np.testing.assert_array_equal(index.rows_of(tf.constant(["a", "d", "n5"])), [-1, 2, 5])
    np.testing.assert_allclose(index.norms, np.linalg.norm(vectors - vectors.mean(axis=0), axis=1), rtol=1e-5)
    assert index.filters.passing(tf.constant([["s=m"]]), tf.constant([[""]])).shape == (1, 6)
    closed = {name: list(variable.shape) for name, variable in index.arrays().items() if variable.shape[0]}
    assert closed == {"center": [2]}


def test_arrays_that_do_not_fit_leave_the_index_as_it_was(index):
    one = [tf.constant(["x"]), np.ones((1, 2), np.float32), np.ones(1, np.float32), [[-1]], tf.zeros([0], tf.string)]
    for place, wrong, message in (
        (1, np.ones((2, 2), np.float32), "ids and vectors"),
        (2, np.ones(3, np.float32), "ids and popularity"),
        (3, [[-1], [-1]], "ids and codes"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            index.replace(*one[:place], wrong, *one[place + 1 :])
    with pytest.raises(tf.errors.InvalidArgumentError, match="vectors must be finite numbers"):
        index.replace(one[0], [[1.0, np.nan]], *one[2:])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be different"):
        index.replace(tf.constant(["x", "x"]), np.ones((2, 2), np.float32), [1.0, 1.0], [[-1], [-1]], one[4])
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one candidate"):
        index.replace(one[4], np.ones((0, 2), np.float32), [], np.zeros((0, 1), np.int32), one[4])
    np.testing.assert_array_equal(index.rows_of(tf.constant(IDS)), range(4))
    np.testing.assert_array_equal(index.vectors, VECTORS)


def test_wrong_arrays_are_refused():
    with pytest.raises(UsageError, match="at least one candidate, got none"):
        ExactIndex([], np.zeros((0, 2)))
    with pytest.raises(UsageError, match=r"index of 4 candidates needs vectors \[4, dim\].*got \[3, 2\]"):
        ExactIndex(IDS, VECTORS[:3])


def test_histories_may_pool_other_vectors(index):
    assert index.history_vectors is None
    np.testing.assert_array_equal(index.pooled, VECTORS)
    own = np.arange(12, dtype=np.float32).reshape(4, 3)
    other = ExactIndex(IDS, VECTORS, history_vectors=own)
    np.testing.assert_array_equal(other.pooled, own)
    with pytest.raises(tf.errors.InvalidArgumentError, match="ids and history_vectors"):
        other.replace(["x"], VECTORS[:1], [1.0], [[-1]], tf.zeros([0], tf.string), own)
    other.replace(["x"], VECTORS[:1], [1.0], [[-1]], tf.zeros([0], tf.string), own[1:2])
    np.testing.assert_array_equal(other.pooled, own[1:2])
    with pytest.raises(UsageError, match="an index of 4 candidates needs as many history vectors, got 3"):
        ExactIndex(IDS, VECTORS, history_vectors=own[:3])


def test_parts_are_replaced_with_the_rest(index):
    """In the order of the arguments: what histories pool, then what a ranking model scores."""
    assert index.parts is None and "parts" not in index.arrays()
    own, parts = np.ones((4, 3), np.float32), np.arange(8, dtype=np.float32).reshape(4, 2)
    for history in ({}, {"history_vectors": own}):
        other = ExactIndex(IDS, VECTORS, parts=parts, **history)
        np.testing.assert_array_equal(other.arrays()["parts"], parts)
        np.testing.assert_array_equal(other.pooled, own if history else VECTORS)
        arrays = tf.constant(["x"]), VECTORS[:1], tf.zeros([1]), tf.constant([[-1]]), tf.constant([], tf.string)
        more = [2 * table[:1] for table in history.values()]
        other.replace(*arrays, *more, parts[2:3])
        np.testing.assert_array_equal(other.parts, parts[2:3])
        with pytest.raises(tf.errors.InvalidArgumentError, match="ids and parts must have the same length"):
            other.replace(*arrays, *more, parts[:2])
    with pytest.raises(UsageError, match="an index of 4 candidates needs as many parts, got 2"):
        ExactIndex(IDS, VECTORS, parts=parts[:2])


def test_the_plain_head_is_the_head_or_says_that_it_may_not_be(index):
    def asked(queries, out, length):
        question = by_products(tf.constant(queries, tf.float32), tf.zeros([len(queries)], tf.bool))
        assert bool(index.has_plain_head(question))
        return index.plain_head(question, tf.constant(out), tf.constant(length))

    values, rows, is_right = asked([[2, 1], [0, -1]], [[-1], [3]], 2)  # products [10, 2, -2, 0] and [-4, -2, 0, 0]
    assert bool(is_right) and rows.numpy().tolist() == [[0, 1], [2, 1]]
    np.testing.assert_array_equal(values, [[10, 2], [0, -2]])
    assert not bool(asked([[2, 1], [0, -1]], [[-1], [3]], 4)[2]), "the second has no more than three"
    assert not bool(asked([[0, -1]], [[-1]], 5)[2]), "there are no five"
