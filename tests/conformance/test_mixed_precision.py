"""Under mixed precision a part computes in half precision, reads its inputs whole, and stays near full precision."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.encoders import ENCODERS
from tests.conformance.parts import FUSIONS, by_name

TOLERANCE = {"mixed_float16": 2e-2, "mixed_bfloat16": 1e-1}  # of values around 1: 11 and 8 bits, over a few sums


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_encoder(part, policy, folder):
    encoder = part.make(folder)
    inputs = part.inputs(encoder, part.rows)
    found, trained = encoder(inputs, training=False), encoder(inputs, training=True)
    for vectors in (found["vector"], trained["vector"]):
        assert vectors.dtype == policy.compute_dtype
        assert np.isfinite(tf.cast(vectors, tf.float32).numpy()).all()
    assert all(variable.dtype != policy.compute_dtype for variable in encoder.trainable_variables)
    tf.keras.mixed_precision.set_global_policy("float32")
    full = part.make(folder)
    inputs = part.inputs(full, part.rows)
    full(inputs)
    full.set_weights(encoder.get_weights())
    expected = full(inputs, training=False)
    np.testing.assert_array_equal(found["present"], expected["present"])
    np.testing.assert_allclose(
        tf.cast(found["vector"], tf.float32), expected["vector"], atol=TOLERANCE[policy.name], rtol=0
    )


@pytest.mark.parametrize("part", FUSIONS, ids=by_name)
def test_fusion(part, policy):
    fusion, inputs = part.make(), part.inputs()
    found, trained = fusion(inputs, training=False), fusion(inputs, training=True)
    for vectors in (found, trained):
        assert vectors.dtype == ("float32" if part.full_precision else policy.compute_dtype)
        assert np.isfinite(tf.cast(vectors, tf.float32).numpy()).all()
    tf.keras.mixed_precision.set_global_policy("float32")
    full = part.make()
    full(part.inputs())
    full.set_weights(fusion.get_weights())
    expected = full(part.inputs(), training=False)
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, atol=TOLERANCE[policy.name], rtol=0)
