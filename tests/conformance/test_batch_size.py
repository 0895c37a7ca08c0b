"""A row's result does not depend on the batch it is in; a batch may have any size, one included."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.encoders import ENCODERS
from tests.conformance.parts import FUSIONS, arrays, by_name


def check(call, whole, size):
    expected = arrays(call(whole))
    outputs = []
    for start in range(0, size, 2):  # batches of two, the last perhaps of one
        outputs.append(arrays(call(rows_of(whole, start, start + 2))))
    for row in range(size):
        outputs.append(arrays(call(rows_of(whole, row, row + 1))))
    joined = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *outputs)
    twice = tf.nest.map_structure(lambda array: np.concatenate([array, array]), expected)
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), joined, twice)


def rows_of(whole, start, stop):
    if isinstance(whole, list):
        return whole[start:stop]
    return tf.nest.map_structure(lambda tensor: tensor[start:stop], whole)


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_encoder_takes_any_batch(part, folder):
    encoder = part.make(folder)
    check(lambda rows: encoder(part.inputs(encoder, rows), training=False), part.rows, len(part.rows))


@pytest.mark.parametrize("part", FUSIONS, ids=by_name)
def test_fusion_takes_any_batch(part):
    fusion = part.make()
    check(lambda inputs: fusion(inputs, training=False), part.inputs(), 8)
