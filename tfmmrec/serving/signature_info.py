"""What a client must know of a model's signatures, from a server's metadata; without TensorFlow."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# TensorFlow's name of a dtype -> NumPy's, the field of a TensorProto that holds its values.
_DTYPES = {
    "DT_FLOAT": ("float32", "float_val"),
    "DT_DOUBLE": ("float64", "double_val"),
    "DT_INT8": ("int8", "int_val"),
    "DT_INT16": ("int16", "int_val"),
    "DT_INT32": ("int32", "int_val"),
    "DT_INT64": ("int64", "int64_val"),
    "DT_UINT8": ("uint8", "int_val"),
    "DT_UINT32": ("uint32", "uint32_val"),
    "DT_UINT64": ("uint64", "uint64_val"),
    "DT_BOOL": ("bool", "bool_val"),
    "DT_STRING": ("object", "string_val"),
}


@dataclass(frozen=True)
class TensorInfo:
    """An input or an output of a signature.

    Attributes:
        dtype: of its values; object for strings, which are bytes.
        shape: without the batch, None where any size will do.
        default: `[1, *shape]`, what it is for every row when it is left out; None where it has to be sent.
    """

    dtype: np.dtype
    shape: tuple[int | None, ...]
    default: np.ndarray | None = None

    @property
    def is_text(self) -> bool:
        """Whether the values are strings."""
        return self.dtype.kind == "O"


@dataclass(frozen=True)
class SignatureInfo:
    """A signature: its inputs and its outputs by name."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


def missing_value(is_text: bool, shape: Sequence[int | None]) -> Any:
    """What an input of one row is where nothing is known of it: "", NaN for a number, zeros for a vector."""
    if is_text:
        return ""
    return [0.0] * (shape[0] or 0) if shape else float("nan")


def read_metadata(metadata: Mapping[str, Any]) -> dict[str, SignatureInfo]:
    """The signatures in the answer to a metadata request.

    Args:
        metadata: GetModelMetadataResponse as JSON, the way REST gives it.

    Raises:
        ValueError: it is something else.
    """
    try:
        signatures = metadata["metadata"]["signature_def"]["signature_def"]
        return {
            name: _signature(signature)
            for name, signature in signatures.items()
            if not name.startswith("__saved_model")
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no metadata of a model: {type(error).__name__} {error}") from error


def _signature(described: Mapping[str, Any]) -> SignatureInfo:
    defaults = described.get("defaults", {})
    inputs = {name: _tensor(entry, defaults.get(name)) for name, entry in described.get("inputs", {}).items()}
    return SignatureInfo(inputs, {name: _tensor(entry) for name, entry in described.get("outputs", {}).items()})


def _tensor(described: Mapping[str, Any], default: Mapping[str, Any] | None = None) -> TensorInfo:
    sizes = [int(dim.get("size", 0)) for dim in described.get("tensor_shape", {}).get("dim", [])]
    shape = tuple(size if size >= 0 else None for size in sizes[1:])
    dtype, _ = _DTYPES[described["dtype"]]
    return TensorInfo(np.dtype(dtype), shape, None if default is None else _array(default))


def _array(proto: Mapping[str, Any]) -> np.ndarray:
    """A TensorProto as JSON -> its array; what is not written repeats the last value, as it is for TensorFlow."""
    dtype, field = _DTYPES[proto["dtype"]]
    shape = [int(dim.get("size", 0)) for dim in proto.get("tensor_shape", {}).get("dim", [])]
    if proto.get("tensor_content"):
        return np.frombuffer(base64.b64decode(proto["tensor_content"]), dtype).reshape(shape)
    values = list(proto.get(field, []))
    if dtype == "object":
        values = [base64.b64decode(value) for value in values]
    elif dtype != "bool":
        convert = float if dtype.startswith("float") else int  # JSON has "-Infinity" and large integers as strings
        values = [convert(value) for value in values]
    count = int(np.prod(shape))
    values += [values[-1] if values else b"" if dtype == "object" else 0] * (count - len(values))
    array = np.empty(count, dtype)
    array[:] = values
    return array.reshape(shape)
