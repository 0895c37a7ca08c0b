"""JSON values and tensors, with the checks and words of TensorFlow Serving's util/json_tensor.cc."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmmrec.serving.development_server.request_error import invalid

_LONGEST_SHOWN = 300
_MAX_RANK = 32
_INTEGERS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64, "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}
_FLOATS = {"float32": np.float32, "float64": np.float64}


def dense_shape(value: Any) -> list[int]:
    """The shape of lists in lists, which the first entry of each level tells."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if len(shape) > _MAX_RANK:
            raise invalid(f"Encountered list at unexpected level: {len(shape)} expected < {_MAX_RANK}")
        if not value:
            break
        value = value[0]
    return shape


def fill(value: Any, level: int, dtype: str, shape: list[int], flat: list[Any]) -> None:
    """Appends the values of a dense tensor.

    Args:
        value: at this level.
        level: how many lists are around it.
        dtype: as TensorFlow names it.
        shape: of the whole.
        flat: where they go.

    Raises:
        RequestError: the lists are ragged, or a value is of another type.
    """
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at level: "
                f"{len(shape)}"
            )
        flat.append(_scalar(value, dtype))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for entry in value:
        fill(entry, level + 1, dtype, shape, flat)


def make_array(flat: list[Any], shape: list[int], dtype: str) -> np.ndarray:
    """The values in their shape; strings as bytes in an array of objects."""
    if dtype == "string":
        array = np.empty(len(flat), object)
        array[:] = flat
    else:
        array = np.array(flat, np.dtype(dtype))
    return array.reshape(shape)


def is_base64(value: Any) -> bool:
    """Whether it is `{"b64": "..."}`, as bytes are written."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def shown(value: Any) -> str:
    """The beginning of a value, for a message."""
    text = json.dumps(value) if not isinstance(value, (dict, list)) else _shallow(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def type_name(dtype: str) -> str:
    """What TensorFlow calls a dtype in messages."""
    return {"float32": "float", "float64": "double"}.get(dtype, dtype)


def rows_to_json(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The answer to rows: an object for each, or the bare values where there is one output.

    Raises:
        RequestError: the outputs do not have one row for each request.
    """
    sizes: dict[str, int] = {}
    for name, array in sorted(outputs.items()):
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        sizes[name] = len(array)
        expected = next(iter(sizes.values()))
        if len(array) != expected:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {expected}")
    columns = {name: _values(name, array) for name, array in sorted(outputs.items())}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def columns_to_json(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The answer to columns."""
    columns = {name: _values(name, array) for name, array in sorted(outputs.items())}
    return {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}


def _scalar(value: Any, dtype: str) -> Any:
    if dtype == "string":
        return _bytes(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        if dtype == "bool" and isinstance(value, bool):
            return value
        raise _type_error(value, dtype)
    if dtype in _INTEGERS:
        bits, is_signed = _INTEGERS[dtype], dtype.startswith("int")
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if is_signed else (0, 2**bits)
        if not isinstance(value, int) or not low <= value < high:
            raise _type_error(value, dtype)
        return value
    if dtype not in _FLOATS:
        raise _type_error(value, dtype)
    info = np.finfo(_FLOATS[dtype])
    is_exact = abs(value) < 2 ** (info.nmant + 1) if isinstance(value, int) else not math.isfinite(value)
    if not is_exact and (isinstance(value, int) or abs(value) > float(info.max)):
        raise invalid(f"Cannot convert JSON value: {shown(value)} to {type_name(dtype)} without loss of precision.")
    return value


def _bytes(value: Any) -> bytes:
    if isinstance(value, dict):
        if not is_base64(value):
            raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
        try:
            text = value["b64"].rstrip("=")
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise invalid("Unable to base64 decode") from None
    if not isinstance(value, str):
        raise _type_error(value, "string")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from None


def _type_error(value: Any, dtype: str):
    kinds = {bool: str(value), str: "String", dict: "Object", list: "Array", type(None): "Null"}
    kind = kinds.get(type(value), "Number")
    return invalid(f"JSON Value: {shown(value)} Type: {kind} is not of expected type: {type_name(dtype)}")


def _shallow(value: Any, depth: int = 4) -> str:
    # a deep or a long one is not written out in full only to be cut
    if isinstance(value, (list, dict)) and not depth:
        return "..."
    if isinstance(value, list):
        return f"[{', '.join(_shallow(entry, depth - 1) for entry in value[:1])}{', ...' if len(value) > 1 else ''}]"
    if isinstance(value, dict):
        some = list(value.items())[:8]
        return "{" + ", ".join(f"{json.dumps(key)}: {_shallow(entry, depth - 1)}" for key, entry in some) + "}"
    return json.dumps(value)[:_LONGEST_SHOWN]


def _values(name: str, array: np.ndarray) -> Any:
    if array.dtype != object:
        return array.tolist()
    write = _base64 if name.endswith("_bytes") else _text
    flat = [write(value) for value in array.ravel().tolist()]
    return _nested(flat, array.shape)


def _nested(flat: list[Any], shape: tuple[int, ...]) -> Any:
    if not shape:
        return flat[0]
    for size in reversed(shape[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)] if size else []
    return flat if all(shape[1:]) else np.empty(shape).tolist()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}
