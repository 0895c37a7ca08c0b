"""How a training computes: its seed, its determinism, its precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

POLICIES = {"none": "float32", "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}


@contextmanager
def numerics(seed: int, deterministic: bool = False, mixed_precision: str = "none") -> Iterator[None]:
    """What holds while a model is built and trained; the precision is put back afterwards.

    Args:
        seed: of Python, NumPy and TensorFlow.
        deterministic: the same numbers to the last digit in every run; stays on in the process.
        mixed_precision: a key of `POLICIES`.
    """
    tf.keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(POLICIES[mixed_precision])
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
