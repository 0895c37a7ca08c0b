"""Under mixed precision a model trains with finite losses near those of full precision."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import QUICK_OR_SLOW, by_name, ready


@pytest.mark.parametrize("case", QUICK_OR_SLOW, ids=by_name)
@pytest.mark.parametrize(
    "policy", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)], indirect=True
)
def test_losses_are_finite_and_near_those_of_full_precision(case, policy):
    case = case.without_dropout()
    made = ready(case)
    losses = made.fit(4)
    scales = isinstance(made.model.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
    assert scales == (policy.name == "mixed_float16")
    assert all(variable.dtype == tf.float32 for variable in made.model.trainable_variables)
    assert np.isfinite(losses).all() and all(np.isfinite(vectors).all() for vectors in made.vectors())
    tf.keras.mixed_precision.set_global_policy("float32")
    expected = ready(case).model.compute_loss(tf.nest.map_structure(tf.constant, made.stream.batch(0)), training=True)
    np.testing.assert_allclose(losses[0], expected, rtol=0.02 if scales else 0.06)
