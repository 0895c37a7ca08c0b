"""Outside training a part is a function: the same input gives the same output, at once or in a graph."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.encoders import ENCODERS
from tests.conformance.parts import FUSIONS, arrays, by_name


def check(part, inputs):
    expected = arrays(part(inputs, training=False))
    part(inputs, training=True)  # draws of dropout must leave no trace
    tf.nest.map_structure(np.testing.assert_array_equal, arrays(part(inputs, training=False)), expected)
    in_graph = arrays(tf.function(lambda inputs: part(inputs, training=False))(inputs))
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), in_graph, expected)


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_encoder(part, folder):
    encoder = part.make(folder)
    one, other = part.inputs(encoder, part.rows), part.inputs(encoder, part.rows)
    tf.nest.map_structure(np.testing.assert_array_equal, arrays(one), arrays(other))
    check(encoder, one)


@pytest.mark.parametrize("part", FUSIONS, ids=by_name)
def test_fusion(part):
    check(part.make(), part.inputs())
