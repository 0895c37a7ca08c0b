"""Parts of a graph that stay functions of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def called(body: Callable[..., Any]) -> Callable[..., Any]:
    """A function that TensorFlow calls and does not inline.

    For what is seldom run: a condition's branches are otherwise put into the graph around it, whose every operation is
    visited in each run, taken or not. One that is called is a single operation there. Eagerly it is just called.

    Args:
        body: of tensors, with nests of tensors as its result.
    """
    function = tf.function(body, autograph=False, experimental_attributes={"_noinline": True})
    return lambda *tensors: body(*tensors) if tf.executing_eagerly() else function(*tensors)
