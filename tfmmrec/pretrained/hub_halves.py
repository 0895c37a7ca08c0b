"""A model of TF-Hub's common signatures, with the half that it lacks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_hub as hub

from tfmmrec.encoders.pictures import decode_pictures
from tfmmrec.pretrained.export_request import ExportRequest
from tfmmrec.pretrained.halves import Halves
from tfmmrec.pretrained.text_input import from_bytes, to_bytes
from tfmmrec.types import DataError, UsageError

_TEXT_BYTES, _IMAGE_SIZE = 512, 224


def hub_halves(request: ExportRequest) -> Halves:
    """Loads a TF-Hub model that takes strings `[batch]`, or floats in [0, 1] `[batch, height, width, 3]`.

    Texts travel between the halves as bytes, as many as `max_length` says; pictures as pixels, which were cut to a
    square and resized.

    Raises:
        DataError: it cannot be loaded, is not reusable, or takes or gives something else.
        UsageError: options that mean nothing to it, or a size that it does not take.
    """
    request.refuse("a TF-Hub model pools by itself", "pooling")
    request.refuse("a TF-Hub model brings its weights", "untrained")
    try:
        model = hub.load(request.source)
    except Exception as error:  # of the network, of files, of graphs: whatever can be wrong with a model
        raise DataError(f"{request.source}: cannot be loaded as a TF-Hub model: {_first_line(error)}") from error
    if not callable(model) or not hasattr(model, "variables"):
        raise DataError(
            f"{request.source}: expected a reusable TF2 SavedModel (an object with __call__, variables and "
            f"trainable_variables), found {'signatures' if getattr(model, 'signatures', None) else 'an object'} alone; "
            f"models in the format of TF1, and those made for serving only, cannot be trained with the rest"
        )
    taken = list(_inputs(model))
    texts = [spec for spec in taken if spec.dtype == tf.string and spec.shape.rank in (1, None)]
    pictures = [spec for spec in taken if spec.dtype == tf.float32 and spec.shape.rank in (4, None)]
    if not texts and not pictures:
        found = ", ".join(f"{spec.dtype.name} {spec.shape}" for spec in taken) or "none that is one tensor"
        raise DataError(
            f"{request.source}: expected a model of strings [batch] or of pictures, float32 [batch, height, width, 3]; "
            f"its inputs are {found}"
        )
    kind = request.half or ("text" if texts else "image")
    if not (texts if kind == "text" else pictures):
        raise UsageError(f"{request.source}: is no model of {kind}; leave out half")
    options = {"training": False} if _takes_training(model) else {}

    def run(raw: tf.Tensor) -> tf.Tensor:
        return _vector(model(raw, **options), request.source)

    about: dict[str, Any] = {"source": request.source, "network": "SavedModel"}
    weights = list(model.variables), list(getattr(model, "trainable_variables", []))
    if kind == "text":
        request.refuse("it reads texts", "image_size")
        length = request.max_length or _TEXT_BYTES
        return Halves(
            "text",
            lambda raw: to_bytes(raw, length),
            lambda tensors: run(from_bytes(tensors["bytes"])),
            *weights,
            [model],
            about | {"max_length": length},
        )
    request.refuse("it reads pictures", "max_length")
    height, width = _size(pictures[0], request)

    def preprocess(raw: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"pixels": decode_pictures(raw, height, width, crop=True)[0]}

    return Halves(
        "image",
        preprocess,
        lambda tensors: run(tf.cast(tensors["pixels"], tf.float32) / 255.0),
        *weights,
        [model],
        about | {"image_size": [height, width]},
    )


def _inputs(model) -> Iterator[tf.TensorSpec]:
    """What `__call__` takes as its first argument, where that is one tensor."""
    for function in getattr(model.__call__, "concrete_functions", []):
        arguments, _ = function.structured_input_signature
        if arguments and isinstance(arguments[0], tf.TensorSpec):
            yield arguments[0]


def _takes_training(model) -> bool:
    specification = getattr(model.__call__, "function_spec", None) or getattr(model.__call__, "_function_spec", None)
    if specification is None:
        return "training" in inspect.signature(model.__call__).parameters
    return "training" in specification.fullargspec.args + specification.fullargspec.kwonlyargs


def _vector(found, source: str) -> tf.Tensor:
    if isinstance(found, dict):
        name = next((name for name in ("pooled_output", "default") if name in found), None)
        if name is None:
            raise DataError(f"{source}: expected one vector, or a pooled_output or default, found {sorted(found)}")
        found = found[name]
    return tf.cast(found, tf.float32)


def _size(spec: tf.TensorSpec, request: ExportRequest) -> tuple[int, int]:
    fixed = spec.shape[1:3].as_list() if spec.shape.rank == 4 else [None, None]
    size = [own or request.image_size or _IMAGE_SIZE for own in fixed]
    if request.image_size is not None and size != [request.image_size] * 2:
        raise UsageError(f"{request.source}: takes pictures of {fixed[0]}×{fixed[1]} pixels only; leave out image_size")
    return size[0], size[1]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
