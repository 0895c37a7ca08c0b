import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.losses import hard_negatives, known_positives
from tfmmrec.types import UsageError


def test_known_positives_against_every_pair():
    random = np.random.default_rng(0)
    for num_negatives, known in ((1, 1), (9, 4), (40, 7)):
        rows = random.integers(-1, 12, num_negatives).astype(np.int32)  # with padding and repeated ones
        history = random.integers(-1, 15, (6, known)).astype(np.int32)
        expected = ((rows[None, :, None] == history[:, None, :]) & (rows >= 0)[None, :, None]).any(axis=2)
        found = known_positives(tf.constant(rows), tf.constant(history))
        assert found.dtype == tf.bool
        np.testing.assert_array_equal(found, expected)


def test_a_query_without_history_has_all_negatives():
    assert not known_positives(tf.constant([3, 0, -1]), tf.fill([2, 4], -1)).numpy().any()
    assert known_positives(tf.constant([3, 0, -1]), tf.zeros([2, 0], tf.int32)).numpy().tolist() == [[False] * 3] * 2


def test_ids_of_other_types_and_unknown_batch_sizes():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None], tf.int64)])
    def found(rows, known):
        return known_positives(rows, known)

    assert found([5, 6], [[6, -1], [7, 5], [0, 0]]).numpy().tolist() == [[False, True], [True, False], [False, False]]


LOGITS = np.array([[0.3, 2.0, -1.0, 0.9], [5.0, 1.0, 4.0, 3.0], [0.0, 0.0, 0.0, -1.0]], np.float32)
MASK = np.array([[True, False, True, True], [True, True, True, True], [False, True, False, False]])


def test_only_the_highest_of_a_row_are_kept():
    expected = np.array([[True, False, False, True], [True, False, True, False], [False, True, False, False]])
    np.testing.assert_array_equal(hard_negatives(LOGITS, 2, MASK), expected)
    assert hard_negatives(LOGITS, 1).numpy()[:2].tolist() == [[False, True, False, False], [True, False, False, False]]


def test_what_scores_the_same_as_the_last_is_kept_whatever_the_order():
    assert hard_negatives(LOGITS[2:], 2).numpy().tolist() == [[True, True, True, False]]
    order = np.array([3, 1, 0, 2])
    np.testing.assert_array_equal(
        hard_negatives(LOGITS[:, order], 2, MASK[:, order]), hard_negatives(LOGITS, 2, MASK).numpy()[:, order]
    )


def test_more_than_there_are_keeps_all_that_count():
    np.testing.assert_array_equal(hard_negatives(LOGITS, 3, MASK)[0], MASK[0])
    np.testing.assert_array_equal(hard_negatives(LOGITS, 99, MASK), MASK)
    nothing = hard_negatives(LOGITS, 2, np.zeros_like(MASK))
    assert not nothing.numpy().any()


def test_fewer_than_one_is_refused():
    with pytest.raises(UsageError, match="hard_negatives must keep at least 1, got 0"):
        hard_negatives(LOGITS, 0)
