import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders import NumberEncoder
from tfmmrec.types import UsageError


def encode(encoder, raw):
    return encoder(encoder.preprocess(tf.constant(raw, tf.float32)))


def identity(edges):
    """An encoder whose vector is its bins."""
    bins = len(np.unique(edges)) - 1 or 1
    encoder = NumberEncoder(edges, bins)
    encoder.build()
    encoder.projection.set_weights([np.eye(bins), np.zeros(bins)])
    return encoder


def test_bins_fill_one_after_the_other():
    # bin t holds clip((x - e_t) / (e_{t+1} - e_t), 0, 1)
    found = encode(identity([0.0, 10.0, 30.0]), [-5.0, 0.0, 5.0, 10.0, 15.0, 30.0, 1e9])
    expected = [[0, 0], [0, 0], [0.5, 0], [1, 0], [1, 0.25], [1, 1], [1, 1]]
    np.testing.assert_allclose(found["vector"], expected, rtol=1e-6)
    assert found["present"].numpy().all()


def test_its_terms_are_the_edges_beside_it():
    encoder = NumberEncoder([0.0, 10.0, 30.0], 4)
    found = encode(encoder, [-5.0, 0.0, 2.5, 10.0, 15.0, 30.0, 1e9, np.nan])
    columns = np.zeros((8, encoder.num_terms))
    for row, (terms, weights) in enumerate(zip(found["terms"].numpy(), found["term_weights"].numpy(), strict=True)):
        np.add.at(columns[row], terms, weights)
    expected = [[1, 0, 0], [1, 0, 0], [0.75, 0.25, 0], [0, 1, 0], [0, 0.75, 0.25], [0, 0, 1], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(columns, expected, rtol=1e-6)


def test_what_is_no_finite_number_is_missing():
    encoder = NumberEncoder([0.0, 1.0], 3)
    found = encode(encoder, [0.5, np.nan, np.inf, -np.inf])
    assert found["present"].numpy().tolist() == [True, False, False, False]
    np.testing.assert_array_equal(found["vector"][1:], np.zeros((3, 3)))
    assert np.isnan(encoder.preprocess(tf.constant([np.inf]))["value"].numpy()).all()


def test_repeated_and_unsorted_edges_are_put_in_order():
    encoder = NumberEncoder([3.0, 1.0, 1.0, 1.0, 3.0, 2.0], 4)
    assert encoder.edges == [1.0, 2.0, 3.0]


def test_a_constant_column_has_a_bin_of_some_width():
    np.testing.assert_allclose(encode(identity([7.0, 7.0]), [6.0, 7.0, 8.0])["vector"], [[0.0], [0.5], [1.0]])


def test_the_largest_numbers_do_not_overflow():
    found = encode(NumberEncoder([-3e38, 0.0, 3e38], 2), [3.3e38, -3.3e38])
    assert np.isfinite(found["vector"].numpy()).all() and found["present"].numpy().all()


@pytest.mark.parametrize("edges", [[], [0.0, float("nan")], [0.0, float("inf")]])
def test_edges_that_are_none_are_refused(edges):
    with pytest.raises(UsageError, match="number edges must be finite and not empty, got"):
        NumberEncoder(edges, 3)


def test_gradients_are_finite_with_missing_rows():
    encoder = NumberEncoder([0.0, 1.0], 3)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encode(encoder, [0.5, np.nan])["vector"])
    kernel, bias = tape.gradient(loss, encoder.projection.trainable_variables)
    np.testing.assert_allclose(kernel, [[0.5] * 3])
    np.testing.assert_allclose(bias, [1.0] * 3)  # the missing row gives the bias nothing either
