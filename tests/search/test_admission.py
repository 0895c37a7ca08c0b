import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.admission import admission, are_given, left_out, without_rows
from tfmmrec.search.exact import ExactIndex

SCORES = np.arange(12, dtype=np.float32).reshape(2, 6)


@pytest.fixture(scope="module")
def index():
    codes = [[0], [1], [0], [1], [-1], [0]]
    return ExactIndex(list("abcdef"), np.eye(6), None, codes, ["t=x", "t=y"])


def _admission(index, exclude=("", ""), allow=("", ""), deny=("", ""), rows=(-1, -1)):
    lists = (tf.constant([[value] for value in values]) for values in (exclude, allow, deny))
    return admission(index, *lists, tf.constant([[row] for row in rows]))


def test_what_is_left_out_by_id_or_row(index):
    found = _admission(index, exclude=["b", "unknown"], rows=[3, 5]).without(tf.constant([[0], [-1]]))
    expected = SCORES.copy()
    expected[0, [0, 1, 3]] = expected[1, 5] = -np.inf
    np.testing.assert_array_equal(found.block(index, tf.constant(SCORES.copy()), 0), expected)
    np.testing.assert_array_equal(found.block(index, tf.constant(SCORES.copy()[:, 2:5]), 2), expected[:, 2:5])


def test_what_is_allowed_and_denied(index):
    found = _admission(index, allow=["t=x", ""], deny=["", "t=y"])
    passes = np.array([[1, 0, 1, 0, 0, 1], [1, 0, 1, 0, 1, 1]], bool)
    expected = np.where(passes, SCORES, -np.inf)
    np.testing.assert_array_equal(found.block(index, tf.constant(SCORES.copy()), 0), expected)
    np.testing.assert_array_equal(found.block(index, tf.constant(SCORES.copy()[:, 2:5]), 2), expected[:, 2:5])
    for row in range(2):
        one = found.row(row).block(index, tf.constant(SCORES.copy()[row : row + 1]), 0)
        np.testing.assert_array_equal(one, expected[row : row + 1])
    turned = found.some(tf.constant([1, 0])).block(index, tf.constant(SCORES[::-1].copy()), 0)
    np.testing.assert_array_equal(turned, expected[::-1])


def test_codes_are_fetched_only_where_something_is_restricted(index):
    def refuse():
        raise AssertionError("nothing is restricted")

    np.testing.assert_array_equal(_admission(index).passing(index, tf.constant(SCORES.copy()), refuse), SCORES)


def test_columns_that_there_are_not_are_none():
    out = tf.constant([[5, -1, 6, 0], [-7, 99, 5, 5]])
    expected = SCORES.copy()
    expected[0, [0, 5]] = expected[1, 5] = -np.inf
    np.testing.assert_array_equal(without_rows(tf.constant(SCORES.copy()), out), expected)
    np.testing.assert_array_equal(without_rows(tf.constant(SCORES.copy()), out[:, 1:2]), SCORES)


def test_ids_are_looked_for_only_where_there_are_some(index):
    rows = tf.constant([[4], [-1]])
    assert left_out(index, tf.constant([["", ""], ["", ""]]), rows).numpy().tolist() == [[4], [-1]]
    assert left_out(index, tf.constant([["", "b"], ["?", ""]]), rows).numpy().tolist() == [[-1, 1, 4], [-1, -1, -1]]


def test_whether_values_are_given():
    nothing, something = tf.constant([["", ""], ["", ""]]), tf.constant([["", ""], ["", "t=x"]])
    assert not are_given(nothing, nothing)
    assert are_given(something, nothing) and are_given(nothing, something)
