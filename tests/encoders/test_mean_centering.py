import numpy as np
import tensorflow as tf

from tfmmrec.encoders.mean_centering import MeanCentering

VECTORS = np.array([[1.0, 2.0], [3.0, 5.0], [0.0, 0.0]], np.float32)
PRESENT = np.array([True, True, False])


def test_the_mean_is_taken_off_where_there_is_something():
    layer = MeanCentering()
    np.testing.assert_array_equal(layer(VECTORS, PRESENT), VECTORS)
    layer.mean.assign([2.0, 3.0])
    np.testing.assert_array_equal(layer(VECTORS, PRESENT), [[-1.0, -1.0], [1.0, 2.0], [0.0, 0.0]])
    assert not layer.trainable_variables


def test_half_precision_is_kept():
    layer = MeanCentering()
    assert layer(tf.cast(VECTORS, tf.bfloat16), PRESENT).dtype == tf.bfloat16 and layer.variables[0].dtype == tf.float32
