"""A PredictRequest against a loaded version: what TensorFlow Serving checks before the graph runs, in its order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis import predict_pb2

from tfmmrec.serving.development_server.json_tensor import type_name
from tfmmrec.serving.development_server.model_version import ModelVersion, signature_of
from tfmmrec.serving.development_server.request_error import invalid

MAX_VALUES = 1 << 24
"""Of one tensor of a request: a shape of a few bytes can ask for any amount of memory, one value repeated."""


def predict(
    version: ModelVersion, request: predict_pb2.PredictRequest, max_batch_size: int | None = None
) -> predict_pb2.PredictResponse:
    """Answers a request.

    Args:
        version: which is held while this runs.
        request: with the inputs; those that have a default in the signature may be left out.
        max_batch_size: rows that a request may have.

    Raises:
        RequestError: the request, or what the graph makes of it, is at fault.
    """
    name = request.model_spec.signature_name or "serving_default"
    signature = signature_of(version, name)
    inputs = request_inputs(signature, request.inputs)
    wanted = checked_outputs(signature, request.output_filter)
    outputs = run(version, name, inputs, max_batch_size)
    response = predict_pb2.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name
    response.model_spec.version.value = version.number
    for key in wanted:
        response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key]))
    return response


def run(
    version: ModelVersion, name: str, inputs: Mapping[str, np.ndarray], max_batch_size: int | None
) -> dict[str, np.ndarray]:
    """Runs a signature once its inputs have passed the checks that both protocols share.

    Raises:
        RequestError: a wrong dtype, too large a batch, or an error of the graph.
    """
    signature = version.signatures[name]
    for place, key in enumerate(sorted(signature.inputs)):
        expected = tf.dtypes.as_dtype(signature.inputs[key].dtype)
        found = tf.string if inputs[key].dtype == object else tf.dtypes.as_dtype(inputs[key].dtype)
        if found != expected:
            names = f"{type_name(expected.name)} but {type_name(found.name)}"
            raise invalid(f"Expects arg[{place}] to be {names} is provided (input {key})")
        size = inputs[key].shape[0] if inputs[key].ndim else 1
        if max_batch_size is not None and size > max_batch_size:
            raise invalid(f"Task size {size} is larger than maximum input batch size {max_batch_size}")
    return version.run(name, inputs)


def request_inputs(signature: Any, given: Mapping[str, Message]) -> dict[str, np.ndarray]:
    """Every input of a signature, from a request or from the signature's defaults.

    Raises:
        RequestError: one is missing, unknown, or no tensor.
    """
    wanted, sent = set(signature.inputs), set(given)
    if len(sent) > len(wanted) or (len(sent) < len(wanted) and not signature.defaults):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({_braced(sent)}) != "
            f"len({_braced(wanted)}). Sent extra: {_braced(sent - wanted)}. Missing but required: "
            f"{_braced(wanted - sent)}."
        )
    if sent - wanted:
        raise invalid(
            f"input tensor alias not found in signature: {min(sent - wanted)}. Inputs expected to be in the set "
            f"{_braced(wanted)}."
        )
    inputs = {}
    for key in sorted(wanted):
        if key in sent:
            inputs[key] = to_array(key, given[key])
        elif key in signature.defaults:
            inputs[key] = tf.make_ndarray(signature.defaults[key])
        else:
            raise invalid(f"Signature input alias: {key} not found in request and no default value provided")
    return inputs


def checked_outputs(signature: Any, names: Iterable[str]) -> list[str]:
    """The outputs that a request asks for, all where it names none.

    Raises:
        RequestError: an unknown output, or one that is named twice.
    """
    wanted: list[str] = []
    for name in names:
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                f"{_braced(signature.outputs)}."
            )
        if name in wanted:
            raise invalid(f"duplicate output tensor alias: {name}")
        wanted.append(name)
    return wanted or sorted(signature.outputs)


def to_array(key: str, proto: Message) -> np.ndarray:
    """A TensorProto as an array; strings become bytes.

    Raises:
        RequestError: it is no tensor, or larger than any request should be.
    """
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    count = 1
    for size in sizes:
        count *= max(size, 0)
    if proto.tensor_shape.unknown_rank or min(sizes, default=0) < 0:
        raise invalid(f"tensor parsing error: {key}: its shape is not known")
    if count > MAX_VALUES or len(sizes) > 254:
        raise invalid(f"tensor parsing error: {key}: a shape of {count:,} values; at most {MAX_VALUES:,} are taken")
    try:
        array = tf.make_ndarray(proto)
    except (ValueError, TypeError, OverflowError, KeyError, IndexError) as error:
        raise invalid(f"tensor parsing error: {key}: {error}") from error
    if array.dtype.kind in "SU":
        array = array.astype(object)
    if array.dtype == object:  # a default of make_ndarray's is text, where a tensor has bytes
        flat = [value if isinstance(value, bytes) else str(value).encode() for value in array.ravel().tolist()]
        array = np.array([*flat, None], object)[:-1].reshape(array.shape)
    return array


def _braced(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
