import numpy as np
import tensorflow as tf

from tfmmrec.encoders import PrecomputedEncoder


def encode(encoder, raw):
    return encoder(encoder.preprocess(tf.constant(raw, tf.float32)))


def test_vectors_come_out_with_unit_length():
    found = encode(PrecomputedEncoder(2), [[3.0, 4.0], [0.0, -1e-3]])
    np.testing.assert_allclose(found["vector"], [[0.6, 0.8], [0.0, -1.0]], rtol=1e-5)


def test_vectors_come_out_as_they_went_in():
    found = encode(PrecomputedEncoder(2, normalize=False), [[3.0, 4.0], [np.nan, 1.0]])
    np.testing.assert_array_equal(found["vector"], [[3.0, 4.0], [0.0, 0.0]])


def test_a_row_with_a_number_that_is_none_or_of_zeros_is_missing():
    found = encode(PrecomputedEncoder(2), [[1.0, 0.0], [1.0, np.nan], [np.inf, 1.0], [0.0, 0.0], [-0.0, 0.0]])
    assert found["present"].numpy().tolist() == [True, False, False, False, False]
    np.testing.assert_array_equal(found["vector"][1:], np.zeros((4, 2)))


def test_it_has_nothing_to_train():
    encoder = PrecomputedEncoder(2)
    encode(encoder, [[1.0, 2.0]])
    assert not encoder.weights
    assert encoder.raw_spec() == tf.TensorSpec([None, 2], tf.float32)
