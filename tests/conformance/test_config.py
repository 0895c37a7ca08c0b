"""A part can be built again from its config, which is plain JSON."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.encoders import ENCODERS
from tests.conformance.parts import FUSIONS, arrays, by_name


def rebuilt(part):
    """The same part from its serialised config, the way a file would carry it."""
    text = json.dumps(tf.keras.layers.serialize(part))
    again = tf.keras.layers.deserialize(json.loads(text))
    assert type(again) is type(part) and again.name == part.name
    assert json.loads(json.dumps(again.get_config())) == json.loads(json.dumps(part.get_config()))
    return again


def check(part, inputs_of):
    # tf_keras by itself records only what was passed: a default that changes would change old models
    code = type(part).__init__.__code__
    not_kept = {"embeddings"}  # initial weights: a restored model reads them from its weights
    assert set(code.co_varnames[1 : code.co_argcount]) - not_kept <= set(part.get_config())
    expected = arrays(part(inputs_of(part), training=False))
    again = rebuilt(part)
    inputs = inputs_of(again)
    again(inputs, training=False)  # creates the weights
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in part.weights]
    again.set_weights(part.get_weights())
    tf.nest.map_structure(np.testing.assert_array_equal, arrays(again(inputs, training=False)), expected)


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_encoder_from_its_config(part, folder):
    check(part.make(folder), lambda encoder: part.inputs(encoder, part.rows))


@pytest.mark.parametrize("part", FUSIONS, ids=by_name)
def test_fusion_from_its_config(part):
    check(part.make(), lambda _: part.inputs())
