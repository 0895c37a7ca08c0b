import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.top_k import block_size_for, top_k_without_ties, two_stage_top_k


@pytest.mark.parametrize("block_size", [None, 1, 7, 10, 1000])
@pytest.mark.parametrize("k", [1, 5, 100])
@pytest.mark.parametrize("num_values", [3, 10_000])
def test_equals_top_k_ties_included(block_size, k, num_values):
    scores = np.random.default_rng(k).integers(0, num_values, (13, 100)).astype(np.float32)
    scores[:, ::7] = -np.inf
    expected = tf.math.top_k(scores, k)
    values, columns = two_stage_top_k(tf.constant(scores), k, block_size)
    np.testing.assert_array_equal(values, expected.values)
    found = np.isfinite(expected.values)
    np.testing.assert_array_equal(columns.numpy()[found], expected.indices.numpy()[found])
    assert np.isneginf(np.take_along_axis(scores, columns.numpy(), axis=1)[~found]).all()


def test_a_row_shorter_than_k_is_padded():
    values, columns = two_stage_top_k(tf.constant([[1.0, 3.0, 2.0], [-np.inf, 0.0, 0.0]]), 5, block_size=2)
    np.testing.assert_array_equal(values, [[3, 2, 1, -np.inf, -np.inf], [0, 0] + 3 * [-np.inf]])
    np.testing.assert_array_equal(columns, [[1, 2, 0, -1, -1], [1, 2, 0, -1, -1]])


def test_all_equal_scores_come_in_the_order_of_their_columns():
    values, columns = two_stage_top_k(tf.zeros([2, 50]), 7)
    np.testing.assert_array_equal(columns, [range(7)] * 2)
    assert not values.numpy().any()


def test_only_rows_whose_ties_go_on_past_the_blocks_looked_into_are_ranked_again():
    scores = np.zeros((3, 100), np.float32)
    scores[0, 90:] = 1  # the tied ones all stand in blocks looked into
    scores[2] = np.arange(100)
    expected = tf.math.top_k(scores, 10)
    values, columns = two_stage_top_k(tf.constant(scores), 10, 5)
    np.testing.assert_array_equal(columns, expected.indices)
    np.testing.assert_array_equal(values, expected.values)


@pytest.mark.parametrize("shape", [(0, 9), (4, 0), (3, 1)])
def test_extreme_shapes(shape):
    values, columns = two_stage_top_k(tf.zeros(shape), 4)
    assert values.shape == columns.shape == (shape[0], 4)
    assert (columns.numpy() >= 0).sum() == shape[0] * min(shape[1], 4)


def test_open_sizes_in_a_graph():
    @tf.function(input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([], tf.int32)])
    def top(scores, k):
        return two_stage_top_k(scores, k)

    for num_columns, k in ((1, 1), (101, 3), (1000, 10), (5, 8)):
        scores = np.random.default_rng(k).random((6, num_columns), np.float32)
        values, columns = top(scores, k)
        found = min(k, num_columns)
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :found]
        np.testing.assert_array_equal(columns[:, :found], expected)
        np.testing.assert_array_equal(values[:, :found], np.take_along_axis(scores, expected, axis=1))
        assert (columns.numpy()[:, found:] == -1).all() and np.isneginf(values.numpy()[:, found:]).all()


def test_block_size_divides_where_it_can():
    assert block_size_for(50_000, 20) == 25
    assert block_size_for(50_021, 20) == 25  # a prime: √(50021 / 80)
    assert block_size_for(1, 100) == 1


def test_the_short_way_is_right_or_says_that_it_may_not_be():
    different = np.random.default_rng(0).permutation(300).reshape(3, 100).astype(np.float32)
    tied = np.zeros((1, 100), np.float32)
    few = np.where(np.arange(100) < 6, different[:1], -np.inf)
    for scores, k, expected in ((different, 7, True), (different, 101, False), (tied, 7, False), (few, 7, False)):
        values, columns, is_right = top_k_without_ties(tf.constant(scores), k)
        assert bool(is_right) == expected
        if expected:
            order = np.argsort(-scores, axis=1)[:, :k]
            np.testing.assert_array_equal(columns, order)
            np.testing.assert_array_equal(values, np.take_along_axis(scores, order, axis=1))
