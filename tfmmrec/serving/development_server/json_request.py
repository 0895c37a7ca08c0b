"""The JSON body of a predict request, as TensorFlow Serving reads it (util/json_tensor.cc).

Two forms: rows, `{"instances": [{"a": 1, "b": "x"}, ...]}`, and columns, `{"inputs": {"a": [1], "b": ["x"]}}`. Every
input has to be sent in both of them: the defaults of a signature count over gRPC only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfmmrec.serving.development_server.json_tensor import dense_shape, fill, is_base64, make_array, shown
from tfmmrec.serving.development_server.request_error import RequestError, invalid


def read_json(body: bytes) -> dict[str, Any]:
    """The body as an object.

    Raises:
        RequestError: it is no JSON, or no object.
    """
    if not body.strip():
        raise invalid("JSON Parse error: The document is empty")
    try:
        content = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise invalid(f"JSON Parse error: Invalid encoding in string. at offset: {error.start}") from error
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; lists in lists in lists ...
        raise invalid(f"JSON Parse error: {type(error).__name__} at offset: 0") from error
    if not isinstance(content, dict):
        raise invalid(f"JSON Value: {shown(content)} Is not object")
    return content


def signature_name(content: Mapping[str, Any]) -> str:
    """The signature that is asked, "" for the default one.

    Raises:
        RequestError: it is no string.
    """
    name = content.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {shown(content)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def read_inputs(content: Mapping[str, Any], dtypes: Mapping[str, str]) -> tuple[dict[str, np.ndarray], bool]:
    """The inputs of a signature.

    Args:
        content: of the body.
        dtypes: of every input, as TensorFlow names them.

    Returns:
        The arrays by name, and whether they came as rows.

    Raises:
        RequestError: the body has neither form, or does not fit the signature.
    """
    if not dtypes:
        raise invalid(f"Failed to get input map for signature: {signature_name(content) or 'DEFAULT'}")
    has_rows, has_columns = "instances" in content, "inputs" in content
    if has_rows and has_columns:
        raise invalid(
            f"JSON Value: {shown(content)} Not formatted correctly expecting only one of 'inputs' or 'instances' keys "
            "to exist"
        )
    if has_rows:
        return _rows(content, dtypes), True
    if has_columns:
        return _columns(content["inputs"], dtypes), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _columns(value: Any, dtypes: Mapping[str, str]) -> dict[str, np.ndarray]:
    if not isinstance(value, dict) or is_base64(value):
        if len(dtypes) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        return {name: _dense(value, dtype) for name, dtype in dtypes.items()}
    arrays = {}
    for name in sorted(dtypes):
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        arrays[name] = _dense(value[name], dtypes[name])
    return arrays


def _dense(value: Any, dtype: str) -> np.ndarray:
    shape = dense_shape(value)
    flat: list[Any] = []
    fill(value, 0, dtype, shape, flat)
    return make_array(flat, shape, dtype)


def _rows(content: Mapping[str, Any], dtypes: Mapping[str, str]) -> dict[str, np.ndarray]:
    rows = content["instances"]
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {shown(content)} Excepting 'instances' to be an list/array")
    if not rows:
        raise invalid(f"JSON Value: {shown(content)} No values in 'instances' array")
    if not isinstance(rows[0], dict) and len(dtypes) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    are_objects = _is_object(rows[0])
    if not are_objects and len(dtypes) > 1:  # a lone {"b64": ...}
        raise invalid("instances is a list of base64 values, but expecting list of objects")
    columns = {name: _Column(name, dtype) for name, dtype in dtypes.items()}
    for place, row in enumerate(rows):
        if _is_object(row) != are_objects:
            expected, got = ("object", "list") if are_objects else ("value/list", "object")
            raise invalid(f"Expecting {expected} but got {got} at item {place} of input list")
        named = row if are_objects else {next(iter(dtypes)): row}
        for name, value in named.items():
            _in_row(place, name, are_objects, lambda name=name, value=value: _add(columns, name, value))
        if set(named) != set(dtypes):
            raise invalid(
                f"Failed to process element: {place} of 'instances' list. JSON object: {shown(row)} keys must be "
                f"equal to: {','.join(sorted(dtypes))}"
            )
    return {name: column.array(len(rows)) for name, column in columns.items()}


class _Column:
    """The values of one input, row by row, all of one shape."""

    def __init__(self, name: str, dtype: str):
        self.name, self.dtype = name, dtype
        self.flat: list[Any] = []
        self.shape: list[int] | None = None

    def add(self, value: Any) -> None:
        """Takes the next row's value."""
        shape, before = dense_shape(value), len(self.flat)
        fill(value, 0, self.dtype, shape, self.flat)
        if self.shape is None:
            self.shape = shape
            return
        size, expected = len(self.flat) - before, int(np.prod(self.shape))
        if size != expected:
            raise invalid(f"Expecting tensor size: {expected} but got: {size}")
        if shape != self.shape:
            raise invalid(f"Expecting shape {_listed(self.shape)} but got: {_listed(shape)}")

    def array(self, num_rows: int) -> np.ndarray:
        """All rows, `[num_rows, ...]`."""
        return make_array(self.flat, [num_rows, *(self.shape or [])], self.dtype)


def _add(columns: Mapping[str, _Column], name: str, value: Any) -> None:
    if name not in columns:
        raise invalid(f"JSON object: does not have named input: {name}")
    columns[name].add(value)


def _in_row(place: int, name: str, is_named: bool, add: Callable[[], None]) -> None:
    try:
        add()
    except RequestError as error:
        key = f" key: {name}" if is_named else ""
        raise invalid(f"Failed to process element: {place}{key} of 'instances' list. Error: {error.message}") from None


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _listed(shape: list[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
