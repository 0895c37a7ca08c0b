"""Under mixed precision a part computes in half precision, reads its inputs whole, and stays near full precision."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.encoders import ENCODERS
from tests.conformance.parts import FUSIONS, by_name

TOLERANCE = {"mixed_float16": 2e-2, "mixed_bfloat16": 1e-1}  # of values around 1: 11 and 8 bits, over a few sums


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_encoder(part, training, policy, folder):
    encoder = part.make(folder)
    found = encoder(part.inputs(encoder, part.rows), training=training)
    assert found["vector"].dtype == policy.compute_dtype
    assert np.isfinite(tf.cast(found["vector"], tf.float32).numpy()).all()
    assert all(variable.dtype != policy.compute_dtype for variable in encoder.trainable_variables)


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_encoder_gives_nearly_the_same(part, policy, folder):
    encoder = part.make(folder)
    found = encoder(part.inputs(encoder, part.rows), training=False)
    tf.keras.mixed_precision.set_global_policy("float32")
    full = part.make(folder)
    full(part.inputs(full, part.rows))
    full.set_weights(encoder.get_weights())
    expected = full(part.inputs(full, part.rows), training=False)
    np.testing.assert_array_equal(found["present"], expected["present"])
    np.testing.assert_allclose(
        tf.cast(found["vector"], tf.float32), expected["vector"], atol=TOLERANCE[policy.name], rtol=0
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("part", FUSIONS, ids=by_name)
def test_fusion(part, training, policy):
    fusion = part.make()
    found = fusion(part.inputs(), training=training)
    assert found.dtype == ("float32" if part.full_precision else policy.compute_dtype)
    assert np.isfinite(tf.cast(found, tf.float32).numpy()).all()


@pytest.mark.parametrize("part", FUSIONS, ids=by_name)
def test_fusion_gives_nearly_the_same(part, policy):
    fusion = part.make()
    found = fusion(part.inputs(), training=False)
    tf.keras.mixed_precision.set_global_policy("float32")
    full = part.make()
    full(part.inputs())
    full.set_weights(fusion.get_weights())
    expected = full(part.inputs(), training=False)
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, atol=TOLERANCE[policy.name], rtol=0)
