"""Under mixed precision a model trains with finite losses near those of full precision."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import CASES, QUICK, ready


def policies_and_cases() -> list:
    """All cases under float16, which scales losses too, and one of each family under bfloat16 beside."""
    names = ("mixed_float16", CASES), ("mixed_bfloat16", QUICK)
    return [
        pytest.param(
            policy,
            case,
            id=f"{policy}-{case.name}",
            marks=[pytest.mark.slow] * (policy == "mixed_bfloat16" or case not in QUICK),
        )
        for policy, cases in names
        for case in cases
    ]


@pytest.mark.parametrize(("policy", "case"), policies_and_cases(), indirect=["policy"])
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
