"""JSON Lines files, one object a line, as record batches."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from tfmmrec.data.uniform import uniform_array
from tfmmrec.types import DataError

_BATCH_ROWS = 2**14


def column_names(path: Path, source: str) -> list[str]:
    """The keys that the first 16,384 objects have between them."""
    names: dict[str, None] = {}
    for record in islice(_records(path, source), _BATCH_ROWS):
        names.update(dict.fromkeys(record))
    if not names:
        raise DataError(f"{source}: the file is empty; expected one JSON object a line")
    return list(names)


def record_batches(path: Path, source: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Streams some columns; a key that an object lacks is null.

    Raises:
        DataError: names the line that is not a JSON object, or the row whose value is of another kind.
    """
    records = _records(path, source)
    first = 1
    while part := list(islice(records, _BATCH_ROWS)):
        arrays = []
        for name in columns:
            values = [record.get(name) for record in part]
            arrays.append(uniform_array(values, source, name, first))
        yield pa.record_batch(arrays, list(columns))
        first += len(part)


def _records(path: Path, source: str) -> Iterator[dict]:
    number = 0
    try:
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    yield _record(line, f"{source}, line {number}", number)
    except (OSError, EOFError) as error:
        raise DataError(f"{source}, after line {number}: not readable: {error}") from None


def _record(line: bytes, place: str, number: int) -> dict:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: not UTF-8 at byte {error.start} of the line; save the file as UTF-8") from None
    except (json.JSONDecodeError, RecursionError) as error:
        if number == 1 and line.lstrip().startswith(b"["):
            raise _is_array(place) from None
        message = getattr(error, "msg", "nested too deeply")
        raise DataError(f"{place}: not JSON: {message}; expected one JSON object a line") from None
    if isinstance(record, list) and number == 1:
        raise _is_array(place)
    if not isinstance(record, dict):
        raise DataError(f"{place}: expected a JSON object, found {type(record).__name__} {str(record)[:40]!r}")
    return record


def _is_array(place: str) -> DataError:
    return DataError(f"{place}: found a JSON array; expected JSON Lines, one object a line without [ ] around them")
