import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.masked_attention import AttentionPooling, MultiHeadAttention, masked_softmax
from tfmmrec.types import UsageError

MASK = np.array([[True, False, True], [False, False, True], [False, False, False]])


def softmax(scores, mask):
    """Over the last axis, of what the mask leaves."""
    weights = np.where(mask, np.exp(scores), 0.0)
    return weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-30)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_masked_softmax():
    scores = np.array([[1.0, 50.0, 2.0], [1.0, 2.0, -3.0], [1.0, 2.0, 3.0]], np.float32)
    found = masked_softmax(tf.constant(scores), tf.constant(MASK)).numpy()
    np.testing.assert_allclose(found, softmax(scores, MASK), rtol=1e-5)
    np.testing.assert_array_equal(found[1:], [[0, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_masked_softmax_is_in_full_precision_and_takes_large_scores(dtype):
    found = masked_softmax(tf.constant([[6e4, 6e4, 1.0]], dtype), tf.constant([[True, True, True]]))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, [[0.5, 0.5, 0.0]])


def test_masked_softmax_has_finite_gradients_where_nothing_is_there():
    scores = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        weights = masked_softmax(scores, tf.constant([[False, False], [True, False]]))
        total = tf.reduce_sum(weights * [[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(tape.gradient(total, scores), np.zeros([2, 2]))


def test_heads_attend_over_what_is_there():
    layer, tokens, others = MultiHeadAttention(6, 2), normal(0, 3, 4, 6), normal(1, 3, 3, 6)
    found = layer(tf.constant(tokens), tf.constant(others), tf.constant(MASK[:, None])).numpy()
    query, key, value, output = (
        part.kernel.numpy() for part in (layer.query, layer.key, layer.value, layer.output_layer)
    )
    heads = []
    for head in (slice(0, 3), slice(3, 6)):
        asking, answering = tokens @ query[:, head], others @ key[:, head]
        scores = asking @ answering.transpose(0, 2, 1) / np.sqrt(3)  # [batch, tokens, others]
        heads.append(softmax(scores, MASK[:, None]) @ (others @ value[:, head]))
    np.testing.assert_allclose(found, np.concatenate(heads, axis=2) @ output, rtol=1e-4, atol=1e-5)
    assert not found[2].any()


def test_each_token_has_its_own_mask():
    layer, tokens = MultiHeadAttention(4, 1), tf.constant(normal(2, 1, 2, 4))
    found = layer(tokens, tokens, tf.constant([[[False, True], [True, False]]]))[0].numpy()
    turned = tokens[0].numpy()[::-1] @ layer.value.kernel.numpy() @ layer.output_layer.kernel.numpy()
    np.testing.assert_allclose(found, turned, rtol=1e-4, atol=1e-5)


def test_pooling_weighs_what_is_there():
    layer, tokens = AttentionPooling(4, (1, 2)), normal(3, 3, 3, 4)
    layer(tokens, MASK)  # creates the weights
    layer.biases.assign(normal(4, 2, 4))
    layer.score.assign(normal(5, 4))
    biases = layer.biases.numpy()[[0, 1, 1]]
    scores = np.tanh(tokens @ layer.hidden.kernel.numpy() + biases) @ layer.score.numpy()  # [batch, tokens]
    expected = (softmax(scores, MASK)[..., None] * tokens).sum(axis=1)
    found = layer(tf.constant(tokens), tf.constant(MASK)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not found[2].any()


@pytest.mark.parametrize(("dim", "num_heads"), [(6, 4), (4, 0), (0, 1)])
def test_heads_that_do_not_divide_the_size_are_refused(dim, num_heads):
    message = f"must be at least 1 and divide dim, got num_heads={num_heads} and dim={dim}; use heads"
    with pytest.raises(UsageError, match=message):
        MultiHeadAttention(dim, num_heads)
