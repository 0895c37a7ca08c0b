import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.losses import hinge

POSITIVE = np.array([0.5, -1.0, 2.0], np.float32)
NEGATIVE = np.array([[0.1, 0.7, -2.0], [3.0, -1.0, 0.0], [1.5, 0.0, 2.5]], np.float32)
MASK = np.array([[True, False, True], [True, True, True], [False, False, False]])


@pytest.mark.parametrize("margin", [0.25, 1.0, 3.0])
def test_it_is_the_mean_over_the_pairs_of_a_row(margin):
    pairs = np.maximum(0.0, margin - POSITIVE[:, None] + NEGATIVE)
    found = hinge(POSITIVE, NEGATIVE, margin=margin)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, pairs.mean(axis=1), rtol=1e-5)
    expected = [pairs[0, [0, 2]].mean(), pairs[1].mean(), 0.0]
    np.testing.assert_allclose(hinge(POSITIVE, NEGATIVE, MASK, margin), expected, rtol=1e-5)


def test_the_margin_is_one_unless_told():
    np.testing.assert_array_equal(hinge(POSITIVE, NEGATIVE), hinge(POSITIVE, NEGATIVE, margin=1.0))


def test_pairs_within_the_margin_pull_alike_and_others_not_at_all():
    positive, negative = tf.Variable(POSITIVE), tf.Variable(NEGATIVE)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(hinge(positive, negative, MASK))
    of_positive, of_negative = tape.gradient(loss, [positive, negative])
    within = MASK & (POSITIVE[:, None] - NEGATIVE < 1.0)
    expected = within / np.maximum(MASK.sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(of_negative, expected, rtol=1e-6)
    np.testing.assert_allclose(of_positive, -expected.sum(axis=1), rtol=1e-6)


def test_what_does_not_count_may_hold_anything():
    negative = tf.Variable(np.where(MASK, NEGATIVE, np.nan).astype(np.float32))
    with tf.GradientTape() as tape:
        losses = hinge(POSITIVE, negative, MASK)
    np.testing.assert_array_equal(losses, hinge(POSITIVE, NEGATIVE, MASK))
    assert np.isfinite(tape.gradient(losses, negative)).all()
