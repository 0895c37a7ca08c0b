"""What a loaded SavedModel says that it takes."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import tensorflow as tf


class TakenInput(NamedTuple):
    """One way to call a SavedModel.

    Attributes:
        spec: dtype and shape of the tensor.
        key: what it is passed under, of models that take a dict of one tensor, as MoViNet does; else None.
    """

    spec: tf.TensorSpec
    key: str | None = None

    def passed(self, tensor: tf.Tensor) -> Any:
        """The argument that holds a tensor."""
        return tensor if self.key is None else {self.key: tensor}


def taken_inputs(model: Any) -> list[TakenInput]:
    """What `__call__` takes as its first argument, where that is one tensor, or a dict of one."""
    found = []
    for function in getattr(model.__call__, "concrete_functions", []):
        arguments, _ = function.structured_input_signature
        first = arguments[0] if arguments else None
        key = None
        if isinstance(first, dict) and len(first) == 1:
            key, first = next(iter(first.items()))
        if isinstance(first, tf.TensorSpec):
            found.append(TakenInput(first, key))
    return found


def pictures_among(taken: list[TakenInput]) -> list[TakenInput]:
    """Those that are floats `[batch, height, width, 3]`."""
    return [way for way in taken if way.spec.dtype == tf.float32 and way.spec.shape.rank in (4, None)]


def clips_among(taken: list[TakenInput]) -> list[TakenInput]:
    """Those that are floats `[batch, frames, height, width, 3]`."""
    return [way for way in taken if way.spec.dtype == tf.float32 and way.spec.shape.rank == 5]


def takes_training(model: Any) -> bool:
    """Whether `__call__` can be told that it is trained."""
    specification = getattr(model.__call__, "function_spec", None) or getattr(model.__call__, "_function_spec", None)
    if specification is None:
        return "training" in inspect.signature(model.__call__).parameters
    return "training" in specification.fullargspec.args + specification.fullargspec.kwonlyargs
