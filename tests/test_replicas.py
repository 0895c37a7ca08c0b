import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.replicas import of_all_replicas


def test_one_replica_keeps_what_it_has():
    value = tf.constant([[1.0, 2.0]])
    np.testing.assert_array_equal(of_all_replicas(value), value)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_every_replica_has_the_rows_of_all_and_the_gradients_of_all_uses(replicas, dtype):
    """Each of two replicas weighs row r of the four by r + 1: the gradient of a row is what both do with it."""
    strategy = replicas(2)

    @tf.function
    def step():
        first = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, dtype) * 2
        value = tf.stack([first, first + 1.0])[:, None]
        with tf.GradientTape() as tape:
            tape.watch(value)
            everywhere = of_all_replicas(value)
            loss = tf.reduce_sum(everywhere * tf.constant([[1.0], [2.0], [3.0], [4.0]], dtype))
        return everywhere, tape.gradient(loss, value)

    everywhere, gradients = (strategy.experimental_local_results(part) for part in strategy.run(step))
    for found in everywhere:
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, [[0.0], [1.0], [2.0], [3.0]])
    np.testing.assert_array_equal(np.concatenate(gradients), 2.0 * np.array([[1.0], [2.0], [3.0], [4.0]]))
