import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.question import by_cosines, by_products

RANDOM = np.random.default_rng(0)
VECTORS, QUERIES = RANDOM.normal(size=(9, 3)).astype(np.float32), RANDOM.normal(size=(4, 3)).astype(np.float32)
POPULARITY = np.arange(9, dtype=np.float32)


@pytest.fixture(scope="module")
def index():
    return ExactIndex([str(row) for row in range(9)], VECTORS, POPULARITY)


@pytest.mark.parametrize("popular", [[], [1], [0, 1, 2, 3]])
def test_products_or_popularity_of_a_part(index, popular):
    is_popular = np.isin(np.arange(4), popular)
    found = by_products(tf.constant(QUERIES), tf.constant(is_popular)).block(index, 2, 7)
    expected = np.where(is_popular[:, None], POPULARITY[2:7], QUERIES @ VECTORS[2:7].T)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_cosines_of_a_part(index):
    found = by_cosines(tf.constant(7 * QUERIES), tf.constant([True] * 4)).block(index, 2, 7)
    others = VECTORS - VECTORS.mean(axis=0)
    lengths = np.linalg.norm(QUERIES, axis=1)[:, None] * np.linalg.norm(others, axis=1)
    np.testing.assert_allclose(found, (QUERIES @ others.T / lengths)[:, 2:7], rtol=1e-5, atol=1e-6)


def test_some_rows(index):
    question = by_products(tf.constant(QUERIES), tf.constant([False, True, False, False]))
    found = question.some(tf.constant([2, 1])).block(index, 0, 9)
    np.testing.assert_allclose(found, question.block(index, 0, 9).numpy()[[2, 1]], rtol=1e-5, atol=1e-6)


def test_one_row(index):
    question = by_products(tf.constant(QUERIES), tf.constant([False, True, False, False]))
    whole = question.block(index, 0, 9)
    for row in range(4):
        np.testing.assert_allclose(question.row(row).block(index, 0, 9), whole[row : row + 1], rtol=1e-5, atol=1e-6)
    assert int(question.row(2).size) == 1


def test_who_can_be_answered(index):
    """What is no number has no products, but popularity stands there for everybody."""
    broken = tf.constant([[np.nan, 1, 1], [1, np.inf, 1], [1, 1, 1]], tf.float32)
    question = by_products(broken, tf.constant([True, False, False]))
    assert question.is_answerable.numpy().tolist() == [True, False, True]
    assert np.isfinite(question.block(index, 0, 9)).all()
    assert by_cosines(broken, tf.constant([True, True, False])).is_answerable.numpy().tolist() == [False] * 3
