import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.losses import pointwise

POSITIVE = np.array([0.5, -1.0, 2.0], np.float32)
NEGATIVE = np.array([[0.1, 0.7, -2.0], [3.0, -1.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
MASK = np.array([[True, False, True], [True, True, True], [False, False, False]])


def sigma(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def test_it_is_the_mean_cross_entropy_of_a_row():
    found = pointwise(POSITIVE, NEGATIVE)
    assert found.dtype == tf.float32 and found.shape == [3]
    expected = (-np.log(sigma(POSITIVE)) - np.log(1 - sigma(NEGATIVE)).sum(axis=1)) / 4
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_does_not_count_is_left_out():
    expected = (-np.log(sigma(POSITIVE)) - (np.log(1 - sigma(NEGATIVE)) * MASK).sum(axis=1)) / (1 + MASK.sum(axis=1))
    np.testing.assert_allclose(pointwise(POSITIVE, NEGATIVE, MASK), expected, rtol=1e-5)


@pytest.mark.parametrize("anything", [np.nan, np.inf])
def test_what_does_not_count_may_hold_anything(anything):
    negative = tf.Variable(np.where(MASK, NEGATIVE, anything).astype(np.float32))
    with tf.GradientTape() as tape:
        losses = pointwise(POSITIVE, negative, MASK)
    np.testing.assert_array_equal(losses, pointwise(POSITIVE, NEGATIVE, MASK))
    assert (tape.gradient(losses, negative).numpy()[~MASK] == 0.0).all()


def test_half_precision_is_worked_off_in_float32():
    half = pointwise(tf.cast(POSITIVE, tf.float16), tf.cast(NEGATIVE, tf.float16), MASK)
    assert half.dtype == tf.float32
    np.testing.assert_allclose(half, pointwise(POSITIVE, NEGATIVE, MASK), rtol=1e-3)
