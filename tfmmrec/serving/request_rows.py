"""Rows as a person writes them, and the tensors of a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfmmrec.serving.server_error import ServerError
from tfmmrec.serving.signature_info import SignatureInfo, TensorInfo
from tfmmrec.types import UsageError


def batches(
    signature: str, described: SignatureInfo, rows: Sequence[Mapping[str, Any]], batch_size: int
) -> Iterator[tuple[dict[str, np.ndarray], int]]:
    """The inputs of some requests.

    Args:
        signature: its name, for messages.
        described: its inputs.
        rows: values by input; see `Client.ask`.
        batch_size: rows of a request.

    Yields:
        Every input `[batch, ...]` by name, and how many rows there are. All inputs are there, and all have the same
        first dimension: over REST a server knows no defaults, and a server that joins requests wants the latter.

    Raises:
        UsageError: an unknown input, one that is missing, or a value that does not fit.
    """
    _check_names(signature, described, rows)
    for start in range(0, len(rows), batch_size):
        some = rows[start : start + batch_size]
        yield {key: _column(key, info, some) for key, info in described.inputs.items()}, len(some)


def split_rows(outputs: Mapping[str, np.ndarray], num_rows: int, address: str) -> list[dict[str, Any]]:
    """The outputs of each row.

    Raises:
        ServerError: the answer does not have as many rows.
    """
    for name, array in outputs.items():
        if array.ndim < 1 or len(array) != num_rows:
            raise ServerError("INTERNAL", f"{num_rows} rows were sent, {name} came back as {array.shape}", address)
    return [{name: array[place] for name, array in outputs.items()} for place in range(num_rows)]


def _check_names(signature: str, described: SignatureInfo, rows: Sequence[Mapping[str, Any]]) -> None:
    required = [key for key, info in described.inputs.items() if info.default is None]
    for place, row in enumerate(rows):
        unknown = sorted(set(row) - set(described.inputs))
        if unknown:
            raise UsageError(f"{signature} takes {', '.join(sorted(described.inputs))}; not {', '.join(unknown)}")
        missing = [key for key in required if key not in row]
        if missing:
            raise UsageError(f"{signature} needs {', '.join(missing)}, which row {place} lacks")


def _column(key: str, info: TensorInfo, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    values = [_value(key, info, row[key]) if key in row else info.default[0] for row in rows]
    column = np.empty([len(rows), *np.shape(values[0])], info.dtype)
    for place, value in enumerate(values):
        if np.shape(value) != column.shape[1:]:
            raise UsageError(
                f"{key} must have the same shape in every row, got {np.shape(value)} after {column.shape[1:]}"
            )
        column[place] = value[()] if isinstance(value, np.ndarray) else value
    return column


def _value(key: str, info: TensorInfo, value: Any) -> np.ndarray:
    if info.is_text:
        array = _texts(key, info, value)
    else:
        try:
            array = np.asarray(value)
            cast = array.astype(info.dtype)
        except (TypeError, ValueError, OverflowError):
            raise UsageError(f"{key} must be {info.dtype}, got {value!r}") from None
        if array.dtype.kind in "USOM" or (info.dtype.kind in "iu" and not np.array_equal(array, cast)):
            raise UsageError(f"{key} must be {info.dtype}, got {value!r}")
        array = cast
    fits = len(array.shape) == len(info.shape) and all(
        size in (None, found) for size, found in zip(info.shape, array.shape, strict=True)
    )
    if not fits:
        raise UsageError(f"{key} must have the shape {list(info.shape)}, got {list(array.shape)}")
    return array


def _texts(key: str, info: TensorInfo, value: Any) -> np.ndarray:
    """Strings as bytes; a list is padded with "" to the length that the signature has."""
    if not info.shape:
        array = np.empty((), object)
        array[()] = _bytes(key, value)
        return array
    if len(info.shape) > 1:
        nested = np.array(value, object)
        return np.array([_bytes(key, entry) for entry in nested.ravel()] + [None], object)[:-1].reshape(nested.shape)
    entries = [value] if isinstance(value, (str, bytes)) else list(value)
    entries = [_bytes(key, entry) for entry in entries]
    length = info.shape[0]
    if length is not None:
        entries = [entry for entry in entries if entry]
        if len(entries) > length:
            raise UsageError(f"{key} takes at most {length} entries, got {len(entries)}")
        entries += [b""] * (length - len(entries))
    array = np.empty(len(entries), object)
    array[:] = entries
    return array


def _bytes(key: str, value: Any) -> bytes:
    if isinstance(value, (bytes, str)):
        return value.encode("utf-8") if isinstance(value, str) else bytes(value)
    raise UsageError(f"{key} takes text or bytes, got {value!r}")
