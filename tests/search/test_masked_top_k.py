import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.masked_top_k import masked_top_k

SEEN = np.array([[0, 1], [0, 1], [2, 4], [2, 0]], np.int32)
POSITIVES = np.array([[0, 1], [0, 2], [1, 3]], np.int32)


def _reference(scores, k):
    masked = scores.copy()
    masked[tuple(SEEN.T)] = -np.inf
    columns = np.argsort(-masked, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(masked, columns, axis=1)
    return values, columns, (masked == values[:, -1:]).sum(axis=1), masked[tuple(POSITIVES.T)]


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("k", [1, 3, 6])
@pytest.mark.parametrize("num_values", [2, 4, 1000])
def test_against_a_full_sort(k, num_values, in_place):
    scores = np.random.default_rng(num_values + k).integers(0, num_values, (3, 40)).astype(np.float32)

    @tf.function
    def rank(scores):
        return masked_top_k(scores + 0.0, SEEN, POSITIVES, k, in_place=in_place)

    for found, expected in zip(rank(scores), _reference(scores, k), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_tie_that_ends_with_the_head_and_one_that_goes_on():
    scores = tf.constant([[3.0, 2.0, 2.0, 1.0], [3.0, 2.0, 2.0, 2.0]])
    nothing = np.zeros((0, 2), np.int32)
    assert masked_top_k(scores, nothing, nothing, 3).num_last.numpy().tolist() == [2, 3]


def test_fewer_candidates_than_k():
    head = masked_top_k(tf.constant([[1.0, 2.0]]), np.array([[0, 1]], np.int32), np.array([[0, 1]], np.int32), 4)
    assert head.scores.numpy().tolist() == [[1.0] + 3 * [-np.inf]]
    assert np.isneginf(head.positive_scores.numpy()).all()


def test_scores_given_from_outside_are_left_alone():
    scores = tf.ones([1, 5])
    tf.function(lambda scores: masked_top_k(scores, SEEN[:1], POSITIVES[:1], 2))(scores)
    assert scores.numpy().tolist() == [[1.0] * 5]
