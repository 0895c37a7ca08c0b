import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.losses import bpr

POSITIVE = np.array([0.5, -1.0, 2.0], np.float32)
NEGATIVE = np.array([[0.1, 0.7, -2.0], [3.0, -1.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
MASK = np.array([[True, False, True], [True, True, True], [False, False, False]])


def of_pairs():
    """−log σ(s₊ − s₋) of each pair, σ(x) = 1 / (1 + e^−x)."""
    difference = POSITIVE[:, None].astype(np.float64) - NEGATIVE
    return -np.log(1 / (1 + np.exp(-difference)))


def test_it_is_the_mean_over_the_pairs_of_a_row():
    found = bpr(POSITIVE, NEGATIVE)
    assert found.dtype == tf.float32 and found.shape == [3]
    np.testing.assert_allclose(found, of_pairs().mean(axis=1), rtol=1e-5)


def test_it_is_the_mean_over_those_that_count():
    expected = [of_pairs()[0, [0, 2]].mean(), of_pairs()[1].mean(), 0.0]
    np.testing.assert_allclose(bpr(POSITIVE, NEGATIVE, MASK), expected, rtol=1e-5)


def test_its_gradient_is_minus_the_share_of_pairs_in_the_wrong_order():
    # d/ds₊ of −log σ(s₊ − s₋) is −σ(s₋ − s₊)
    positive, negative = tf.Variable(POSITIVE), tf.Variable(NEGATIVE)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(bpr(positive, negative, MASK))
    of_positive, of_negative = tape.gradient(loss, [positive, negative])
    wrong = 1 / (1 + np.exp(POSITIVE[:, None] - NEGATIVE)) * MASK / np.maximum(MASK.sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(of_positive, -wrong.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(of_negative, wrong, rtol=1e-5)


@pytest.mark.parametrize("anything", [np.nan, np.inf])
def test_what_does_not_count_may_hold_anything(anything):
    negative = tf.Variable(np.where(MASK, NEGATIVE, anything).astype(np.float32))
    with tf.GradientTape() as tape:
        losses = bpr(POSITIVE, negative, MASK)
    np.testing.assert_array_equal(losses, bpr(POSITIVE, NEGATIVE, MASK))
    assert (tape.gradient(losses, negative).numpy()[~MASK] == 0.0).all()


def test_scores_far_apart_neither_overflow_nor_lose_the_loss():
    np.testing.assert_allclose(bpr(tf.constant([-1e4, 1e4]), tf.constant([[1e4], [-1e4]])), [2e4, 0.0])


def test_half_precision_is_worked_off_in_float32():
    half = bpr(tf.cast(POSITIVE, tf.float16), tf.cast(NEGATIVE, tf.float16))
    assert half.dtype == tf.float32
    np.testing.assert_allclose(half, bpr(POSITIVE, NEGATIVE), rtol=1e-3)
