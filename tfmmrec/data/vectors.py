"""Vectors that somebody else computed: a `.npy` file in row order, or a column of lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfmmrec.data import columns
from tfmmrec.data.issues import Issues
from tfmmrec.data.readers import Rows, find_files
from tfmmrec.data.storage import allocate, release
from tfmmrec.types import DataError

_CHUNK_BYTES = 2**24


class VectorColumn:
    """Gathers a column of lists of one length as float32 `[rows, dim]`; a missing row holds NaN."""

    def __init__(self, column: str, issues: Issues):
        self.column = column
        self.issues = issues
        self.dim: int | None = None
        self.parts: list[np.ndarray | int] = []

    def add(self, rows: Rows) -> None:
        """Takes the next rows."""
        lists = columns.to_vectors(rows, self.column)
        for index, values in enumerate(lists):
            if values is None or len(values) == 0:
                continue
            self.dim = self.dim or len(values)
            if len(values) != self.dim:
                raise DataError(
                    f"{rows.place(index, self.column)}: expected a vector of {self.dim} numbers like the "
                    "rows before, "
                    f"found {len(values)}"
                )
        if self.dim is None:
            self.parts.append(len(lists))
            return
        part = np.full((len(lists), self.dim), np.nan, np.float32)
        for index, values in enumerate(lists):
            if values:
                part[index] = _numbers(rows, self.column, index, values)
        _clean(part, f"{rows.source}, column {self.column!r}", rows.first, self.issues)
        self.parts.append(part)

    def finish(self) -> np.ndarray:
        """The whole column."""
        if self.dim is None:
            raise DataError(f"column {self.column!r}: no row has a vector; leave the feature out")
        whole = [np.full((p, self.dim), np.nan, np.float32) if isinstance(p, int) else p for p in self.parts]
        return np.concatenate(whole)


def _numbers(rows: Rows, column: str, index: int, values: list) -> np.ndarray:
    try:
        return np.array([np.nan if value is None else value for value in values], np.float32)
    except (TypeError, ValueError):
        raise DataError(f"{rows.place(index, column)}: expected a list of numbers, found {str(values)[:60]}") from None


def _clean(vectors: np.ndarray, where: str, first: int, issues: Issues) -> None:
    """Makes rows with an infinite or missing entry missing as a whole, and counts what it changes."""
    bad = ~np.isfinite(vectors).all(axis=1)
    partly = bad & ~np.isnan(vectors).all(axis=1)
    if partly.any():
        example = f"row {first + int(partly.argmax())}"
        issues.add("vector with NaN or infinite numbers, taken as missing", where, int(partly.sum()), example)
    vectors[bad] = np.nan


def load_vectors(root: Path | None, path: str, num_rows: int, key: str, issues: Issues) -> np.ndarray:
    """Opens a `.npy` file of vectors; float32 stays on disk, all else is converted.

    Args:
        root: the dataset's folder.
        path: relative to it.
        num_rows: rows of the table that the array goes with.
        key: where the schema names it, for messages.
        issues: counts rows with NaN or infinite numbers.

    Returns:
        float32 `[num_rows, dim]`, a missing row holds NaN.

    Raises:
        DataError: no such file, not a numeric array, or of another shape.
    """
    if root is None:
        raise DataError(f"`{key}`: {path!r} is a file, but there is no folder; pass root=")
    file = find_files(root, path, key)[0]
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: expected a .npy file of numbers [rows, dim]: {error}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim != 2 or not array.shape[1]:
        found = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else "an archive"
        raise DataError(f"{path}: expected an array of numbers [rows, dim], found {found}")
    if len(array) != num_rows:
        raise DataError(f"{path}: expected {num_rows} rows, one for each id in the table's order, found {len(array)}")
    step = max(1, _CHUNK_BYTES // (array.shape[1] * 4))
    starts = range(0, num_rows, step)
    ready = array.dtype == np.float32 and all(np.isfinite(array[start : start + step]).all() for start in starts)
    if ready:
        release(array)
        return array
    vectors = allocate(array.shape, np.float32)
    for start in starts:
        rows = slice(start, start + step)
        with np.errstate(over="ignore"):
            vectors[rows] = array[rows]
        _clean(vectors[rows], path, start + 1, issues)
        release(vectors, array)
    return vectors
