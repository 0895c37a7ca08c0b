import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders.convolutional import ConvolutionalEncoder
from tfmmrec.types import UsageError


def make(mode="cached"):
    tf.keras.utils.set_random_seed(0)
    encoder = ConvolutionalEncoder(5, (8, 6, 2), (4, 6), mode, "odour")
    encoder.build()
    return encoder


def test_rows_that_are_not_there_count_neither_in_the_mean_nor_in_the_maximum():
    encoder = make()
    grid = tf.constant(np.random.default_rng(0).normal(size=(3, 8, 6, 2)), tf.float32)
    there = tf.constant([[True, True], [True, False], [False, False]])
    found = encoder.embed_grid(grid, tf.constant([True, True, False]), there)
    cells = found["sequence"].numpy()  # [3, 2 rows of 2 cells, 6]
    for row, number in ((0, 4), (1, 2)):
        kept = cells[row, :number]
        pooled = np.concatenate([kept.mean(axis=0), kept.max(axis=0)])[None]
        np.testing.assert_allclose(found["vector"][row], encoder.projection(pooled)[0], rtol=1e-4, atol=1e-5)
    assert not found["vector"][2].numpy().any()
    assert found["sequence_mask"].numpy().tolist() == [[True] * 4, [True, True, False, False], [False] * 4]
    whole = encoder.embed_grid(grid, tf.ones([3], tf.bool))["vector"]
    np.testing.assert_allclose(whole[0], found["vector"][0], rtol=1e-4, atol=1e-5)


def test_its_mode_is_refused_by_the_name_of_what_it_sees():
    with pytest.raises(UsageError, match=r"mode \(odour_mode\) must be .* for the small odour network, got 'frozen'"):
        make("frozen")
