import numpy as np
import tensorflow as tf

from tfmmrec.losses import full_softmax

LOGITS = np.random.default_rng(0).normal(0, 3, (4, 6)).astype(np.float32)
POSITIVES = np.array([5, 0, 0, 3])


def expected(logits, positives, mask=None):
    mask = np.ones(logits.shape[1], bool) if mask is None else mask
    own = logits[np.arange(len(logits)), positives]
    return np.log(np.exp(logits[:, mask]).sum(axis=1)) - own


def test_it_is_the_negative_log_of_the_positives_share():
    found = full_softmax(LOGITS, POSITIVES)
    assert found.dtype == tf.float32 and found.shape == [4]
    np.testing.assert_allclose(found, expected(LOGITS, POSITIVES), rtol=1e-5)


def test_candidates_outside_the_mask_are_not_in_the_denominator():
    mask = np.array([True, False, True, True, False, True])
    np.testing.assert_allclose(
        full_softmax(LOGITS, POSITIVES, candidate_mask=mask), expected(LOGITS, POSITIVES, mask), rtol=1e-5
    )


def test_its_gradient_is_softmax_minus_one_hot():
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(full_softmax(logits, POSITIVES))
    softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(tape.gradient(loss, logits), softmax - np.eye(6)[POSITIVES], rtol=1e-4, atol=1e-6)


def test_extremes():
    np.testing.assert_array_equal(full_softmax(np.array([[1000.0, -1000.0]], np.float32), [0]), [0.0])
    np.testing.assert_array_equal(full_softmax(np.array([[1000.0, -1000.0]], np.float32), [1]), [2000.0])
    np.testing.assert_array_equal(full_softmax(np.array([[3.0]], np.float32), [0]), [0.0])  # a catalogue of one
    only = full_softmax(np.array([[3.0, 9.0]], np.float32), [0], candidate_mask=np.array([True, False]))
    np.testing.assert_array_equal(only, [0.0])
