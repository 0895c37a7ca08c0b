"""What the columns of an unknown table look like, and which kind of feature each could be."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa

from tfmmrec.data.columns import plain
from tfmmrec.data.readers import FileTable, format_of
from tfmmrec.data.usable_media import kind_of_bytes
from tfmmrec.data.videos import is_video
from tfmmrec.types import DataError

_PROFILE_ROWS = 200_000
_SAMPLE_VALUES = 2000
_SAMPLE_FILES = 5
_FILES = {
    kind: re.compile(rf"(?!https?://).+\.({ends})", re.IGNORECASE)
    for kind, ends in {
        "image": "jpe?g|png|gif|bmp|webp|tiff?",
        "audio": "wave?|flac|mp3|ogg|oga|opus|aiff?",
        "video": "mjpe?g|mp4|m4v|mov|webm|mkv|avi",
    }.items()
}
_MAY_MOVE = re.compile(r"(?!https?://).+\.(gif|webp|png)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*|\d*\.\d+|\d+\.\d*)([eE][+-]?\d+)?|nan|[+-]?inf", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+")
_SEPARATORS = ("|", ";", ",")
_MAX_CODES = 30  # whole numbers with at most so many different values are codes, not quantities


@dataclass
class ColumnProfile:
    """One column of a table, from its first rows.

    Attributes:
        name: of the column.
        type: of its values as stored.
        num_values: rows with a value.
        num_distinct: different values.
        values: some of the values, as text; of bytes, what kind of files they are.
        is_moving: they name animated pictures.
    """

    name: str
    type: pa.DataType
    num_values: int = 0
    num_distinct: int = 0
    values: list[str] = field(default_factory=list)
    is_moving: bool = False

    @property
    def could_be_id(self) -> bool:
        """Strings or whole numbers."""
        kind = self.type
        textual = pa.types.is_large_string(kind) and not any(" " in value for value in self.values[:100])
        return textual or pa.types.is_integer(kind)

    @property
    def is_key(self) -> bool:
        """Whether every value is there once."""
        return self.could_be_id and self.num_values == self.num_distinct > 0


@dataclass
class TableProfile:
    """One table of a folder, from its first rows.

    Attributes:
        path: relative to the folder.
        num_rows: rows looked at.
        columns: by name.
    """

    path: str
    num_rows: int
    columns: dict[str, ColumnProfile]

    def key(self) -> str | None:
        """The column that looks like the id: distinct everywhere; by its name, else the first one."""
        keys = [name for name, c in self.columns.items() if c.is_key and c.num_values == self.num_rows]
        named = [
            name for name in keys if re.search(r"(^|_|\b)id$|(^|_)key$", name, re.IGNORECASE) or name.endswith("Id")
        ]
        first = next(iter(self.columns), None)
        return (named or [name for name in keys if name == first] or [None])[0]


def profile_tables(folder: Path) -> list[TableProfile]:
    """Profiles the tables that lie directly in a folder; `.json` files that are not JSON Lines are no tables.

    Raises:
        DataError: a table cannot be read.
    """
    profiles = []
    for path in sorted(path for path in folder.iterdir() if path.is_file() and format_of(path)):
        try:
            profiles.append(_profile(folder, path.name))
        except DataError:
            if path.suffix.lower() != ".json":
                raise
    return profiles


def _profile(folder: Path, name: str) -> TableProfile:
    table = FileTable(folder, name, name)
    names = table.column_names()
    parts: dict[str, list[pa.Array]] = {column: [] for column in names}
    num_rows = 0
    for rows in table.rows(names):
        for column in names:
            parts[column].append(plain(rows.column(column)))
        num_rows += len(rows)
        if num_rows >= _PROFILE_ROWS:
            break
    columns = {column: _column(column, arrays) for column, arrays in parts.items()}
    for column in columns.values():
        column.is_moving = _names_moving(folder, column.values)
    return TableProfile(name, num_rows, columns)


def _names_moving(folder: Path, values: list[str]) -> bool:
    """Whether the first of the named GIF, WebP or PNG files that are there moves."""
    paths = islice((value for value in values if _MAY_MOVE.fullmatch(value)), _SAMPLE_FILES)
    for path in paths:
        try:
            return is_video((folder / path).read_bytes())
        except (OSError, ValueError):  # it may lie elsewhere, or not at all
            continue
    return False


def _column(name: str, parts: list[pa.Array]) -> ColumnProfile:
    kind = next((part.type for part in parts if not pa.types.is_null(part.type)), pa.null())
    num_values = sum(len(part) - part.null_count for part in parts)
    if pa.types.is_large_binary(kind):
        files = islice((value.as_py() for part in parts for value in part if value.is_valid), _SAMPLE_FILES)
        return ColumnProfile(name, kind, num_values, num_values, [kind_of_bytes(file) for file in files])
    if pa.types.is_nested(kind):
        return ColumnProfile(name, kind, num_values, num_values)
    distinct: dict[str, None] = {}
    for part in parts:
        distinct.update(dict.fromkeys(str(value) for value in part.unique().to_pylist() if value is not None))
    sample = [str(value) for part in parts for value in part.drop_null()[:_SAMPLE_VALUES].to_pylist()]
    return ColumnProfile(name, kind, num_values, len(distinct), sample[:_SAMPLE_VALUES])


def feature_of(column: ColumnProfile) -> dict[str, str] | str:
    """The keys of the feature a column could be, or why it is left out."""
    kind = column.type
    if not column.num_values:
        return "empty"
    if pa.types.is_large_binary(kind):
        return {"kind": Counter(column.values).most_common(1)[0][0]}
    if pa.types.is_nested(kind):
        inner = getattr(kind, "value_type", None)
        if inner is not None and pa.types.is_floating(inner):
            return {"kind": "vector"}
        return {"kind": "category"} if inner is not None and pa.types.is_string(inner) else f"of type {kind}"
    if column.num_distinct < 2:
        return "the same value everywhere"
    if pa.types.is_temporal(kind):
        return "a time"
    for medium, names in _FILES.items():
        if _share(column.values, names) > 0.8:
            return {"kind": "video" if column.is_moving else medium}
    if pa.types.is_floating(kind) or _share(column.values, _NUMBER) == 1.0:
        codes = _share(column.values, _WHOLE) == 1.0 and column.num_distinct <= _MAX_CODES
        return {"kind": "category"} if codes else {"kind": "number"}
    return _textual(column)


def _textual(column: ColumnProfile) -> dict[str, str] | str:
    separator = next((s for s in _SEPARATORS if _separates(column.values, s)), None)
    if separator is not None:
        return {"kind": "category", "separator": separator}
    words = sum(len(value.split()) for value in column.values) / len(column.values)
    different = column.num_distinct / column.num_values
    if words >= 3 or (different > 0.9 and words >= 1.5):
        return {"kind": "text"}
    if different > 0.9 and column.num_distinct > 10:
        return "a different value in nearly every row"
    return {"kind": "category"}


def _separates(values: list[str], separator: str) -> bool:
    """Whether the separator parts the values into few words that come back again and again."""
    if sum(separator in value for value in values) < 0.2 * len(values):
        return False
    parts = [part.strip() for value in values for part in value.split(separator)]
    short = sum(len(part.split()) for part in parts) <= 3 * len(parts)
    return short and len(set(parts)) <= max(20, 0.2 * len(parts))


def _share(values: list[str], pattern: re.Pattern) -> float:
    return sum(pattern.fullmatch(value) is not None for value in values) / max(len(values), 1)


def values_within(column: ColumnProfile, key: ColumnProfile) -> float:
    """The share of a column's values that a key column's first values have too."""
    known = set(key.values)
    return sum(value in known for value in islice(column.values, 500)) / max(min(len(column.values), 500), 1)
