"""What the conformance tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the SavedModels of the encoders lie."""
    return tmp_path_factory.mktemp("reusable")


@pytest.fixture(autouse=True)
def _same_weights_every_time() -> None:
    tf.keras.utils.set_random_seed(0)


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def policy(request: pytest.FixtureRequest):
    """Runs a test under each policy of mixed precision."""
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(request.param)
    yield tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(before)
