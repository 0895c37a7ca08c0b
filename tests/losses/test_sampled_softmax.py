import importlib

import numpy as np
import tensorflow as tf

from tfmmrec.losses import sampled_softmax

RANDOM = np.random.default_rng(0)
QUERY = RANDOM.normal(size=(5, 3)).astype(np.float32)
CANDIDATES = RANDOM.normal(size=(4, 3)).astype(np.float32)
POSITIVES = np.array([2, 0, 0, 3, 1])
LOG_P = np.log([0.9, 0.2, 0.5, 0.05]).astype(np.float32)
TEMPERATURE = 0.3


def shares(query, candidates, mask=None):
    """Each column's share of its row's denominator, `[batch, num_candidates]`."""
    weights = np.exp(query @ candidates.T / TEMPERATURE - LOG_P)
    weights = weights if mask is None else weights * mask
    return weights / weights.sum(axis=1, keepdims=True)


def losses(query, candidates, mask=None):
    return sampled_softmax(
        query, candidates, POSITIVES, log_probability=LOG_P, candidate_mask=mask, temperature=TEMPERATURE
    )


def test_it_is_the_negative_log_of_the_corrected_share():
    found = losses(QUERY, CANDIDATES)
    assert found.dtype == tf.float32 and found.shape == [5]
    np.testing.assert_allclose(found, -np.log(shares(QUERY, CANDIDATES)[np.arange(5), POSITIVES]), rtol=1e-4)


def test_a_masked_column_is_as_if_it_were_not_there():
    # the same candidate once more, as another replica's copy, and padding: both masked
    more = np.concatenate([CANDIDATES, CANDIDATES[:1], np.zeros((1, 3), np.float32)])
    log_p = np.concatenate([LOG_P, LOG_P[:1], LOG_P[:1]])
    mask = np.array([True] * 4 + [False] * 2)
    found = sampled_softmax(QUERY, more, POSITIVES, log_probability=log_p, candidate_mask=mask, temperature=TEMPERATURE)
    np.testing.assert_allclose(found, losses(QUERY, CANDIDATES), rtol=1e-5)


def gradients(weights, mask=None):
    query, candidates = tf.Variable(QUERY), tf.Variable(CANDIDATES)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(losses(query, candidates, mask) * weights)
    return [gradient.numpy() for gradient in tape.gradient(loss, [query, candidates])]


def test_its_gradient_under_sample_weights():
    # d(Σ w_i L_i)/d logits = w_i (share − one-hot), and logits = ⟨q, c⟩ / temperature
    weights = np.array([1.0, 0.0, 2.0, 0.5, 3.0], np.float32)
    for mask in (None, np.array([True, True, True, True])):
        error = weights[:, None] * (shares(QUERY, CANDIDATES) - np.eye(4)[POSITIVES]) / TEMPERATURE
        of_query, of_candidates = gradients(weights, mask)
        np.testing.assert_allclose(of_query, error @ CANDIDATES, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(of_candidates, error.T @ QUERY, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(of_query[1], 0.0)  # a row of weight 0 teaches nothing


def test_a_masked_column_gets_no_gradient():
    mask = np.array([True, True, True, False])
    query, candidates = tf.Variable(QUERY[:3]), tf.Variable(CANDIDATES)
    with tf.GradientTape() as tape:
        found = sampled_softmax(query, candidates, POSITIVES[:3], log_probability=LOG_P, candidate_mask=mask)
        loss = tf.reduce_sum(found)
    gradient = tape.gradient(loss, candidates).numpy()
    np.testing.assert_array_equal(gradient[3], 0.0)
    assert (gradient[:3] != 0).all()


def test_adding_a_constant_to_the_correction_changes_nothing():
    found = sampled_softmax(QUERY, CANDIDATES, POSITIVES, log_probability=LOG_P - 7.0, temperature=TEMPERATURE)
    np.testing.assert_allclose(found, losses(QUERY, CANDIDATES), rtol=1e-4)


def test_large_batches_are_worked_off_in_blocks_of_rows(monkeypatch):
    whole, weights = losses(QUERY, CANDIDATES).numpy(), np.arange(1.0, 6.0, dtype=np.float32)
    whole_gradients = gradients(weights)
    module = importlib.import_module("tfmmrec.losses.sampled_softmax")
    monkeypatch.setattr(module, "BLOCK_ENTRIES", 8)  # two rows of four columns
    np.testing.assert_allclose(losses(QUERY, CANDIDATES), whole, rtol=1e-6)
    for one, other in zip(gradients(weights), whole_gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_in_a_graph_with_an_open_batch():
    step = tf.function(losses, input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([None, 3])])
    np.testing.assert_allclose(step(QUERY, CANDIDATES), losses(QUERY, CANDIDATES), rtol=1e-5)


def test_half_precision():
    found = losses(tf.constant(QUERY, tf.float16), tf.constant(CANDIDATES, tf.float16))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, losses(QUERY, CANDIDATES), atol=0.05)


def test_extremes():
    def alone(query, candidates, positives, log_p):
        return sampled_softmax(
            np.array(query, np.float32),
            np.array(candidates, np.float32),
            positives,
            log_probability=np.array(log_p, np.float32),
        ).numpy()

    np.testing.assert_allclose(alone([[1.0]], [[5.0]], [0], [-3.0]), [0.0], atol=1e-6)  # no negative, no loss
    far = alone([[1.0]], [[500.0], [-500.0]], [1], [0.0, 0.0])  # the positive's share underflows
    np.testing.assert_allclose(far, [1000.0])
    rare = alone([[0.0]], [[1.0], [1.0]], [0], [0.0, np.log(1e-30)])  # a column that stands for 1e30 others
    np.testing.assert_allclose(rare, [30 * np.log(10)], rtol=1e-5)
