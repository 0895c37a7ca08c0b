"""Tables as streams of record batches: CSV, JSON Lines, Parquet and TFRecord files, and pandas frames.

Rows are counted from 1 within each file; a header is not a row. Nothing but the columns asked for is
converted, and never more than a batch of them is in memory.
"""

from __future__ import annotations

import difflib
import importlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from tfmmrec.data.uniform import uniform_array
from tfmmrec.types import DataError

BATCH_ROWS = 2**17

# suffix -> the module that reads it: `column_names(path)` and `record_batches(path, columns)`
FORMATS = {
    ".csv": "csv_format",
    ".tsv": "csv_format",
    ".parquet": "parquet_format",
    ".jsonl": "jsonl_format",
    ".json": "jsonl_format",
    ".tfrecord": "tfrecord_format",
    ".tfrecords": "tfrecord_format",
}
_COMPRESSIBLE = (".csv", ".tsv", ".jsonl", ".json", ".tfrecord", ".tfrecords")


@dataclass(frozen=True)
class Rows:
    """Some consecutive rows of a table.

    Attributes:
        source: the file's name.
        first: the first row's number in it, from 1.
        batch: the rows.
    """

    source: str
    first: int
    batch: pa.RecordBatch

    def __len__(self) -> int:
        return self.batch.num_rows

    def column(self, name: str) -> pa.Array:
        """One column."""
        return self.batch.column(name)

    def replace(self, name: str, values: pa.Array) -> Rows:
        """The same place with other values of one column alone, such as its different values."""
        return Rows(self.source, self.first, pa.record_batch([values], [name]))

    def place(self, index: int, column: str | None = None) -> str:
        """Where the row with this index is, for messages."""
        return f"{self.source}, row {self.first + index}" + (f", column {column!r}" if column else "")


class Table(Protocol):
    """What has named columns and gives its rows in order."""

    name: str

    def column_names(self) -> list[str]:
        """The columns there are."""

    def rows(self, columns: Sequence[str]) -> Iterator[Rows]:
        """Streams some columns."""


def format_of(path: Path) -> str | None:
    """The module that reads a file, by its name's end; None for a file that is no table."""
    name = path.name.lower()
    if name.endswith(".gz") and name.removesuffix(".gz").endswith(_COMPRESSIBLE):
        name = name.removesuffix(".gz")
    return FORMATS.get(Path(name).suffix)


def _module(path: Path, name: str):
    module = format_of(path)
    if module is None:
        raise DataError(f"{name}: no known table format; expected a file name ending in {', '.join(FORMATS)}")
    return importlib.import_module(f"tfmmrec.data.{module}")


class FileTable:
    """One file, or the files of a glob in the order of their names.

    Args:
        root: the dataset's folder.
        pattern: path or glob, relative to it.
        key: where the schema names it, for messages.

    Raises:
        DataError: no such file, or it lies outside the folder.
    """

    def __init__(self, root: Path, pattern: str, key: str):
        self.name = pattern
        self.root = root
        self.paths = find_files(root, pattern, key)

    def column_names(self) -> list[str]:
        """The columns of the first file."""
        path = self.paths[0]
        return _module(path, self._shown(path)).column_names(path, self._shown(path))

    def rows(self, columns: Sequence[str]) -> Iterator[Rows]:
        """Streams some columns of all files.

        Raises:
            DataError: a file lacks a column, or cannot be read.
        """
        for path in self.paths:
            shown, first = self._shown(path), 1
            module = _module(path, shown)
            check_columns(module.column_names(path, shown), columns, shown)
            for batch in module.record_batches(path, shown, list(columns)):
                if batch.num_rows:
                    yield Rows(shown, first, batch)
                first += batch.num_rows

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


class FrameTable:
    """A pandas DataFrame.

    Args:
        frame: the rows.
        name: how messages call it.
    """

    def __init__(self, frame, name: str):
        self.frame = frame.set_axis([str(column) for column in frame.columns], axis=1)
        self.name = name

    def column_names(self) -> list[str]:
        """The frame's columns."""
        return list(self.frame.columns)

    def rows(self, columns: Sequence[str]) -> Iterator[Rows]:
        """Streams some columns."""
        check_columns(self.column_names(), columns, self.name)
        for start in range(0, len(self.frame), BATCH_ROWS):
            part = self.frame.iloc[start : start + BATCH_ROWS]
            arrays = [self._array(part[column], column, start) for column in columns]
            yield Rows(self.name, start + 1, pa.record_batch(arrays, list(columns)))

    def _array(self, series, column: str, start: int) -> pa.Array:
        if series.dtype == object:
            return uniform_array(series.tolist(), self.name, column, start + 1)
        array = pa.array(series, from_pandas=True)
        return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def check_columns(existing: Sequence[str], wanted: Sequence[str], source: str) -> None:
    """Refuses a table that lacks a column, or has one twice."""
    twice = [name for name, count in Counter(existing).items() if count > 1 and name in wanted]
    if twice:
        raise DataError(f"{source}: the column {twice[0]!r} stands there twice; rename one")
    for name in wanted:
        if name not in existing:
            near = difflib.get_close_matches(name, existing, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            listed = ", ".join(repr(column) for column in existing) or "none"
            raise DataError(f"{source}: no column {name!r}; it has {listed}{hint}")


def inside(root: Path, path: str, what: str) -> Path:
    """The absolute form of a path in a dataset, which must not leave its folder.

    Args:
        root: the dataset's folder, resolved.
        path: relative to it.
        what: what names the path, for messages.

    Raises:
        DataError: the path is absolute, or leads out by `..` or a symbolic link.
    """
    if not Path(path).is_absolute():
        resolved = (root / path).resolve()
        if resolved.is_relative_to(root):
            return root / path
        if ".." not in Path(path).parts:
            raise DataError(
                f"{what}: the path {path!r} leaves the dataset's folder by a symbolic link; put the file "
                "into the folder"
            )
    raise DataError(
        f"{what}: the path {path!r} leaves the dataset's folder; use a path inside it, relative to the folder"
    )


def find_files(root: Path, pattern: str, key: str) -> list[Path]:
    """The files of a path or glob inside the dataset's folder, sorted by name.

    Raises:
        DataError: none there, or outside the folder.
    """
    where = f"`{key}`"
    if (root / pattern).is_file():
        return [inside(root, pattern, where)]
    if any(sign in pattern for sign in "*?["):
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            inside(root, pattern, where)
        found = sorted(path for path in root.glob(pattern) if path.is_file())
        if found:
            return [inside(root, path.relative_to(root).as_posix(), where) for path in found]
    else:
        inside(root, pattern, where)
    tables = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if format_of(path))[:1000]
    near = difflib.get_close_matches(pattern, tables, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    there = ", ".join(repr(name) for name in tables[:10]) + (", ..." if len(tables) > 10 else "")
    raise DataError(f"{where}: no file {pattern!r} in {root}; tables there: {there or 'none'}{hint}")
