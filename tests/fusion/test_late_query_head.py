import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.fusion import LateQueryHead
from tfmmrec.types import UsageError

STATE = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def test_every_block_is_a_unit_vector_of_its_own_projection():
    head = LateQueryHead(num_blocks=2, dim=4)
    found = head(STATE).numpy()
    kernel, bias = head.get_weights()
    for block in range(2):
        columns = slice(block * 4, block * 4 + 4)
        projected = STATE @ kernel[:, columns] + bias[columns]
        expected = projected / np.linalg.norm(projected, axis=1, keepdims=True)
        np.testing.assert_allclose(found[:, columns], expected, rtol=1e-5)


def test_a_state_of_zeros_has_a_finite_gradient():
    head = LateQueryHead(num_blocks=2, dim=4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(head(tf.zeros([1, 3])))
    assert all(np.isfinite(gradient.numpy()).all() for gradient in tape.gradient(loss, head.trainable_variables))


@pytest.mark.parametrize(("num_blocks", "dim"), [(0, 4), (2, 0)])
def test_numbers_below_one_are_refused(num_blocks, dim):
    with pytest.raises(UsageError, match=f"num_blocks and dim must be at least 1, got {num_blocks} and {dim}"):
        LateQueryHead(num_blocks=num_blocks, dim=dim)
