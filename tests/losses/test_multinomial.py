import numpy as np
import tensorflow as tf

from tfmmrec.losses import full_softmax, multinomial

LOGITS = np.random.default_rng(0).normal(0, 3, (3, 5)).astype(np.float32)
TARGETS = np.array([[1, 0, 2, 0, 0], [0, 0.5, 0, 0, 0], [0, 0, 0, 0, 0]], np.float32)
MASK = np.array([True, True, True, False, True])


def expected(logits, targets, mask):
    log_softmax = logits - np.log(np.exp(logits[:, mask]).sum(axis=1, keepdims=True))
    return -(targets * log_softmax).sum(axis=1)


def test_it_is_the_likelihood_of_all_targets():
    found = multinomial(LOGITS, TARGETS)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected(LOGITS, TARGETS, np.ones(5, bool)), rtol=1e-5)


def test_candidates_outside_the_mask_are_not_in_the_denominator():
    np.testing.assert_allclose(
        multinomial(LOGITS, TARGETS, candidate_mask=MASK), expected(LOGITS, TARGETS, MASK), rtol=1e-5
    )


def test_one_target_is_the_full_softmax():
    one_hot = np.eye(5, dtype=np.float32)[[2, 0, 4]]
    np.testing.assert_allclose(multinomial(LOGITS, one_hot), full_softmax(LOGITS, [2, 0, 4]), rtol=1e-6)


def test_its_gradient_is_the_count_times_softmax_minus_the_targets():
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(multinomial(logits, TARGETS, candidate_mask=MASK))
    weights = np.exp(LOGITS) * MASK
    softmax = weights / weights.sum(axis=1, keepdims=True)
    gradient = TARGETS.sum(axis=1, keepdims=True) * softmax - TARGETS
    np.testing.assert_allclose(tape.gradient(loss, logits), gradient, rtol=1e-4, atol=1e-6)


def test_a_row_without_targets_costs_nothing():
    assert multinomial(LOGITS, TARGETS).numpy()[2] == 0.0


def test_bytes_as_targets():
    counts = np.array([[1, 0, 1, 0, 0]], np.uint8)
    np.testing.assert_allclose(
        multinomial(LOGITS[:1], counts), expected(LOGITS[:1], counts.astype(float), np.ones(5, bool)), rtol=1e-5
    )
