import numpy as np
import tensorflow as tf

from tfmmrec.losses.masking import masked_logits, masked_mean

LOGITS = np.array([[1.0, 30.0, -2.0], [0.5, 0.0, 4.0]], np.float32)
MASK = np.array([True, False, True])


def test_a_masked_candidate_has_no_share_in_a_softmax():
    found = tf.nn.softmax(masked_logits(LOGITS, MASK)).numpy()
    kept = np.exp(LOGITS[:, MASK]) / np.exp(LOGITS[:, MASK]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[:, MASK], kept, rtol=1e-5)
    np.testing.assert_array_equal(found[:, 1], 0.0)


def test_without_a_mask_logits_stay_what_they_are():
    np.testing.assert_array_equal(masked_logits(LOGITS, None), LOGITS)


def test_half_precision_comes_out_whole():
    found = masked_logits(tf.constant(LOGITS, tf.float16), MASK)
    assert found.dtype == tf.float32 and np.isfinite(found.numpy()).all()


def test_no_gradient_reaches_a_masked_candidate():
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.nn.log_softmax(masked_logits(logits, MASK))[:, 0])
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[:, 1], 0.0)
    assert (gradient[:, MASK] != 0).all()


def test_a_mask_of_each_row_s_own():
    mask = np.array([[True, False, True], [False, True, True]])
    found = masked_logits(LOGITS, mask).numpy()
    np.testing.assert_array_equal(found[mask], LOGITS[mask])
    assert (found[~mask] < -1e8).all()


def test_a_mean_over_what_is_inside_the_mask():
    mask = np.array([[True, False, True], [False, False, False]])
    np.testing.assert_allclose(masked_mean(LOGITS, mask, tf.square), [(1.0**2 + 2.0**2) / 2, 0.0])
    np.testing.assert_allclose(masked_mean(LOGITS, None), LOGITS.mean(axis=1), rtol=1e-6)
