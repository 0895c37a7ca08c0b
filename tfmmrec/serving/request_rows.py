"""Rows as a person writes them, and the tensors of a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfmmrec.serving.server_error import ServerError
from tfmmrec.serving.signature_info import SignatureInfo, TensorInfo, missing_value
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
        UsageError: no list of rows, an unknown input, nothing to go by, or a value that does not fit.
    """
    if isinstance(rows, Mapping) or not all(isinstance(row, Mapping) for row in rows):
        raise UsageError(f"{signature} takes a list of rows, each a mapping of values by input; got {_shown(rows)}")
    _check_names(signature, described, rows)
    for start in range(0, len(rows), batch_size):
        some = rows[start : start + batch_size]
        yield {key: _column(key, info, some) for key, info in described.inputs.items()}, len(some)


def split_rows(outputs: Mapping[str, np.ndarray], num_rows: int, address: str) -> list[dict[str, Any]]:
    """The outputs of each row: strings as str, and of candidates those that are some.

    A batch's answers are as wide as its longest. What fills them up, "" with −inf, is left out here.

    Args:
        outputs: every output `[batch, ...]`.
        num_rows: the batch's.
        address: of who answered, for messages.

    Raises:
        ServerError: the answer does not have as many rows.
    """
    for name, array in outputs.items():
        if array.ndim < 1 or len(array) != num_rows:
            raise ServerError("INTERNAL", f"{num_rows} rows were sent, {name} came back as {array.shape}", address)
    outputs = {name: _as_text(name, array) for name, array in outputs.items()}
    return [_found({name: array[place] for name, array in outputs.items()}) for place in range(num_rows)]


def _found(row: dict[str, Any]) -> dict[str, Any]:
    ids, scores = row.get("candidate_ids"), row.get("scores")
    if np.ndim(ids) != 1 or np.shape(scores) != np.shape(ids):
        return row
    found = ids.astype(bool)  # an empty string is none
    return row | {"candidate_ids": ids[found], "scores": scores[found]}


def _as_text(name: str, array: np.ndarray) -> np.ndarray:
    """Strings of any shape as str; bytes stay where they are no text or, as TensorFlow Serving has it, so called."""
    if array.dtype.kind != "O" or name.endswith("_bytes"):
        return array
    texts = np.empty(array.size, object)
    try:
        texts[:] = [value.decode("utf-8") for value in array.ravel()]
    except UnicodeDecodeError:
        return array
    return texts.reshape(array.shape)


def _shown(rows: Any) -> str:
    if isinstance(rows, Mapping):
        return "a single mapping: put it in brackets, [{...}]"
    return repr(next(row for row in rows if not isinstance(row, Mapping)))


def _check_names(signature: str, described: SignatureInfo, rows: Sequence[Mapping[str, Any]]) -> None:
    required = [key for key, info in described.inputs.items() if info.default is None]
    for place, row in enumerate(rows):
        unknown = sorted(set(row) - set(described.inputs))
        if unknown:
            raise UsageError(f"{signature} takes {', '.join(sorted(described.inputs))}; not {', '.join(unknown)}")
        for key in required:
            options = _same_side(key, described)
            if not any(option in row for option in options):
                one_of = "one of " if len(options) > 1 else ""
                raise UsageError(f"{signature} needs {one_of}{', '.join(options)}, which row {place} lacks")


def _same_side(key: str, described: SignatureInfo) -> list[str]:
    """What is as good to go by as a required input: any other of the same query or candidate."""
    side = key.partition("_")[0]
    if side not in ("query", "candidate"):
        return [key]
    others = ("history",) if side == "query" else ()
    return sorted(name for name in described.inputs if name.startswith(f"{side}_") or name in others)


def _column(key: str, info: TensorInfo, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    values = [_given_or_default(key, info, row) for row in rows]
    column = np.empty([len(rows), *np.shape(values[0])], info.dtype)
    for place, value in enumerate(values):
        if np.shape(value) != column.shape[1:]:
            raise UsageError(
                f"{key} must have the same shape in every row, got {np.shape(value)} after {column.shape[1:]}"
            )
        column[place] = value[()] if isinstance(value, np.ndarray) else value
    return column


def _given_or_default(key: str, info: TensorInfo, row: Mapping[str, Any]) -> np.ndarray:
    if key not in row and info.default is not None:
        return info.default[0]
    return _value(key, info, row[key] if key in row else missing_value(info.is_text, info.shape))


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
    if not isinstance(value, Iterable):
        raise UsageError(f"{key} takes a list of texts, got {value!r}")
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
