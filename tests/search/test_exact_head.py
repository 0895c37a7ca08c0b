"""Blocks by blocks as at once, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.admission import admission
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.exact_head import LEAST_BLOCK, exact_head
from tfmmrec.search.question import by_products

SIZE = 2 * LEAST_BLOCK + 77  # two whole blocks and a part of one


@pytest.fixture(scope="module")
def index():
    vectors = np.random.default_rng(0).integers(-3, 4, (SIZE, 6)).astype(np.float32)  # products are exact, with ties
    codes = np.arange(SIZE)[:, None].astype(np.int32) % 2
    return ExactIndex([f"c{row}" for row in range(SIZE)], vectors, np.arange(SIZE) % 50, codes, ["t=a", "t=b"])


@pytest.mark.parametrize("length", [1, 40, LEAST_BLOCK + 5, SIZE + 10])
def test_equals_a_sort_of_all_scores(index, length):
    random = np.random.default_rng(length)
    queries = random.integers(-3, 4, (4, 6)).astype(np.float32)
    out = random.integers(-1, SIZE, (4, 300)).astype(np.int32)
    out[:, :3] = [0, LEAST_BLOCK, SIZE - 1]  # where blocks begin and all ends
    allow = tf.constant([["t=a"], [""], ["t=b"], ["t=c"]])
    nothing = tf.fill([4, 1], "")
    admitted = admission(index, nothing, allow, nothing, tf.constant(out))
    question = by_products(tf.constant(queries), tf.constant([False, False, True, False]))
    values, rows = exact_head(index, question, admitted, length, scores_at_once=1)
    scores = queries @ index.vectors.numpy().T
    scores[2] = np.arange(SIZE) % 50
    scores[0, 1::2], scores[2, ::2], scores[3] = -np.inf, -np.inf, -np.inf
    for row in range(4):
        scores[row, out[row][out[row] >= 0]] = -np.inf
        order = np.argsort(-scores[row], kind="stable")[:length]
        order = order[scores[row, order] > -np.inf]
        padding = length - len(order)
        assert rows[row].numpy().tolist() == [*order.tolist(), *[-1] * padding]
        np.testing.assert_array_equal(values[row], [*scores[row, order], *[-np.inf] * padding])


def test_no_more_than_a_block_of_scores_at_a_time(index):
    asked = []

    class Watched(type(by_products(tf.zeros([1, 6]), tf.zeros([1], tf.bool)))):
        def block(self, index, start, end):
            asked.append((int(start), int(end)))
            return super().block(index, start, end)

    batch = 8
    nothing = tf.fill([batch, 1], "")
    admitted = admission(index, nothing, nothing, nothing, tf.fill([batch, 1], -1))
    question = Watched(*by_products(tf.ones([batch, 6]), tf.zeros([batch], tf.bool)))
    exact_head(index, question, admitted, 5, scores_at_once=batch * 5000)
    assert asked == [(0, 5000), (5000, SIZE)]


def test_what_cannot_be_answered_is_not(index):
    queries, nothing = tf.constant([[np.nan] * 6, [1.0] * 6]), tf.fill([2, 1], "")
    admitted = admission(index, nothing, nothing, nothing, tf.fill([2, 1], -1))
    values, rows = exact_head(index, by_products(queries, tf.zeros([2], tf.bool)), admitted, 3)
    assert np.isneginf(values[0]).all() and rows[0].numpy().tolist() == [-1] * 3
    assert np.isfinite(values[1]).all()
