"""Large text files as they were downloaded, a piece at a time; lines that are broken are counted and survived."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmmrec.data.issues import Issues
from tfmmrec.types import DataError

PIECE_BYTES = 2**23
BROKEN = "broken line, left out"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class RawRows:
    """Some lines of a file, taken apart.

    Attributes:
        source: the file's name.
        lines: int64 `[rows]`, which line of the file each row is, from 1.
        columns: the fields, large_string `[rows]` each.
    """

    source: str
    lines: np.ndarray
    columns: tuple[pa.Array, ...]


def read_fields(
    path: Path,
    separator: str,
    num_fields: int,
    issues: Issues,
    progress: Progress | None = None,
    header: bool = False,
) -> Iterator[RawRows]:
    """Streams lines of fields without quotation marks, in UTF-8 or, line by line, Latin-1.

    Args:
        path: the file; gzip where its name ends in `.gz`.
        separator: between two fields, one character or more.
        num_fields: of each line; other lines are broken.
        issues: counts the broken lines.
        progress: called with (what, bytes done, bytes in all).
        header: whether the first line names the fields and is left out.

    Raises:
        DataError: the file cannot be read to its end.
    """
    for first, raw in _pieces(path, progress):
        texts = pa.array(_decoded(raw), pa.large_string())
        numbers = np.arange(first, first + len(texts), dtype=np.int64)
        parts = pc.split_pattern(texts, separator)
        good = pc.list_value_length(parts).to_numpy(zero_copy_only=False) == num_fields
        blank = pc.equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False)
        if header and first == 1:
            good[0], blank[0] = False, True
        count_broken(issues, path.name, numbers, ~good & ~blank, texts)
        flat = pc.list_flatten(parts.filter(pa.array(good)))
        columns = [flat.take(pa.array(np.arange(place, len(flat), num_fields))) for place in range(num_fields)]
        yield RawRows(path.name, numbers[good], tuple(columns))


def read_objects(
    path: Path, issues: Issues, progress: Progress | None = None
) -> Iterator[tuple[np.ndarray, list[dict]]]:
    """Streams a file with one JSON object a line.

    Args:
        path: the file; gzip where its name ends in `.gz`.
        issues: counts the lines that are not a JSON object.
        progress: called with (what, bytes done, bytes in all).

    Returns:
        An iterator of (which line each object stands in, the objects).

    Raises:
        DataError: the file cannot be read to its end.
    """
    for first, raw in _pieces(path, progress):
        numbers, objects = [], []
        for number, text in enumerate(_decoded(raw), start=first):
            if not text.strip():
                continue
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, dict):
                if "\\ud" in text.lower():  # half of a pair of escapes is no text that a table can hold
                    found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "ignore"))
                numbers.append(number)
                objects.append(found)
            else:
                issues.add(BROKEN, path.name, 1, f"line {number}: {text[:60]!r}")
        yield np.array(numbers, np.int64), objects


def first_line(path: Path) -> str:
    """The first line of a file, without its end."""
    for _, raw in _pieces(path, None):
        return _decoded(raw[:1])[0]
    return ""


def count_broken(
    issues: Issues, source: str, lines: np.ndarray, broken: np.ndarray, texts: pa.Array | None = None
) -> None:
    """Counts broken lines.

    Args:
        issues: where they are counted.
        source: the file's name.
        lines: int64 `[rows]`, which line each row is.
        broken: bool `[rows]`.
        texts: `[rows]`, what stands there, for the example.
    """
    if broken.any():
        row = int(broken.argmax())
        example = f"line {lines[row]}" + ("" if texts is None else f": {texts[row].as_py()[:60]!r}")
        issues.add(BROKEN, source, int(np.count_nonzero(broken)), example)


def to_floats(texts: pa.Array) -> np.ndarray:
    """Texts as numbers, float64 `[rows]`; NaN where they are none."""
    try:
        return texts.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False).astype(np.float64)
    except pa.ArrowInvalid:
        return np.array([as_number(text) for text in texts.to_pylist()], np.float64)


def as_number(value) -> float:
    """A number, or a text that is one, as float; NaN for all else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return np.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return np.nan


def _pieces(path: Path, progress: Progress | None) -> Iterator[tuple[int, list[bytes]]]:
    """Some megabytes of whole lines at a time, with the number of the first one."""
    size, what, number = path.stat().st_size, f"{path.name}, bytes read", 1
    with open(path, "rb") as raw:
        packed = path.name.lower().endswith(".gz")
        file = io.BufferedReader(gzip.GzipFile(fileobj=raw), 2**20) if packed else raw
        while True:
            try:
                lines = file.readlines(PIECE_BYTES)
            except (OSError, EOFError, zlib.error) as error:
                raise DataError(
                    f"{path}, after line {number - 1}: not readable: {error}; download the file again"
                ) from None
            if not lines:
                break
            yield number, lines
            number += len(lines)
            if progress is not None:
                progress(what, min(raw.tell(), size - 1), size)
    if progress is not None and size:
        progress(what, size, size)


def _decoded(lines: list[bytes]) -> list[str]:
    try:
        texts = b"".join(lines).decode("utf-8").split("\n")
        texts = texts[: len(lines)]  # behind the last line end there is nothing
    except UnicodeDecodeError:
        texts = [_decoded_line(line) for line in lines]
    if texts:
        texts[0] = texts[0].removeprefix("\ufeff")
    return [text.rstrip("\r\n") for text in texts]


def _decoded_line(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
