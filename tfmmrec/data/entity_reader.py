"""Reads a table of candidates or queries into `Entities`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from tfmmrec.data import columns
from tfmmrec.data.entities import Entities
from tfmmrec.data.ids import first_duplicate
from tfmmrec.data.issues import Issues
from tfmmrec.data.media import NOUNS, check_paths, empty_to_null, is_binary
from tfmmrec.data.readers import Rows, Table, check_columns
from tfmmrec.data.vectors import VectorColumn, load_vectors
from tfmmrec.schema import MEDIA_KINDS, EntitySchema, Feature
from tfmmrec.types import DataError


class _Places:
    """Finds the file and row of a row of the whole table."""

    def __init__(self):
        self.starts: list[int] = []
        self.parts: list[tuple[str, int]] = []
        self.num_rows = 0

    def add(self, rows: Rows) -> None:
        self.starts.append(self.num_rows)
        self.parts.append((rows.source, rows.first))
        self.num_rows += len(rows)

    def __call__(self, row: int) -> str:
        part = int(np.searchsorted(self.starts, row, side="right")) - 1
        source, first = self.parts[part]
        return f"{source}, row {first + row - self.starts[part]}"


class _TextColumn:
    """Gathers a column of strings; lists where any row is a list."""

    def __init__(self, column: str, single: str = ""):
        self.column = column
        self.single = single
        self.parts: list[pa.Array] = []

    def add(self, rows: Rows) -> None:
        part = columns.to_strings(rows, self.column)
        if self.single and pa.types.is_large_list(part.type):
            raise DataError(
                f"{rows.place(0, self.column)}: expected one value a row for kind: {self.single}, found "
                "lists; "
                "use kind: category for several values"
            )
        self.parts.append(part)

    def finish(self) -> pa.Array:
        if any(pa.types.is_large_list(part.type) for part in self.parts):
            self.parts = [_as_lists(part) for part in self.parts]
        return pa.concat_arrays(self.parts)


class _IdentifierColumn(_TextColumn):
    def add(self, rows: Rows) -> None:
        self.parts.append(columns.to_ids(rows, self.column))


class _NumberColumn:
    """Gathers a column of numbers as float32, and counts the infinite ones."""

    def __init__(self, column: str, issues: Issues):
        self.column = column
        self.issues = issues
        self.parts: list[np.ndarray] = []

    def add(self, rows: Rows) -> None:
        numbers, infinite = columns.to_numbers(rows, self.column)
        with np.errstate(over="ignore"):
            small = numbers.astype(np.float32)
        infinite |= np.isinf(small)
        small[infinite] = np.nan
        if infinite.any():
            example = rows.place(int(infinite.argmax()))
            where = f"{rows.source}, column {self.column!r}"
            self.issues.add("infinite number, taken as missing", where, int(infinite.sum()), example)
        self.parts.append(small)

    def finish(self) -> np.ndarray:
        return np.concatenate(self.parts)


class _MediaColumn:
    """Gathers a column of paths or of bytes."""

    def __init__(self, column: str, kind: str):
        self.column = column
        self.kind = kind
        self.parts: list[pa.Array] = []
        self.seen: dict[str, str] = {}  # bytes or paths -> where the first ones are

    def add(self, rows: Rows) -> None:
        values = columns.plain(rows.column(self.column))
        if is_binary(values):
            self.parts.append(empty_to_null(values))
        elif pa.types.is_large_string(values.type) or pa.types.is_null(values.type):
            self.parts.append(columns.to_strings(rows, self.column))
        else:
            raise DataError(
                f"{rows.place(0, self.column)}: expected a {NOUNS[self.kind]}'s path or its bytes, found the type "
                f"{values.type}"
            )
        row = self.parts[-1].is_valid().index(True).as_py()
        if row >= 0:
            self.seen.setdefault("bytes" if is_binary(values) else "paths", rows.place(row))
        if len(self.seen) > 1:
            raise DataError(
                f"{rows.source}, column {self.column!r}: expected {NOUNS[self.kind]}s' paths or their bytes in the "
                f"whole table, found paths ({self.seen['paths']}) and bytes ({self.seen['bytes']}); give all in one way"
            )

    def finish(self) -> pa.Array:
        if any(is_binary(part) for part in self.parts):  # a batch without any has no type of its own
            empty = [pa.nulls(len(part), pa.large_binary()) if not is_binary(part) else part for part in self.parts]
            return pa.concat_arrays(empty)
        return pa.concat_arrays(self.parts)


def _as_lists(part: pa.Array) -> pa.Array:
    if pa.types.is_large_list(part.type):
        return part
    offsets = pa.array(np.arange(len(part) + 1, dtype=np.int64))
    return pa.LargeListArray.from_arrays(offsets, part, mask=part.is_null())


def _gatherer(feature: Feature, column: str, issues: Issues):
    if feature.kind == "number":
        return _NumberColumn(column, issues)
    if feature.kind == "vector":
        return VectorColumn(column, issues)
    if feature.kind in MEDIA_KINDS:
        return _MediaColumn(column, feature.kind)
    if feature.kind == "identifier":
        return _IdentifierColumn(column)
    return _TextColumn(column, single="text" if feature.kind == "text" else "")


def read_entities(schema: EntitySchema, table: Table, side: str, root: Path | None) -> tuple[Entities, int]:
    """Reads and checks a whole table.

    Args:
        schema: the side's description; it has an id column.
        table: its rows.
        side: "candidates" or "queries", for messages.
        root: the dataset's folder, resolved; None for data in memory without paths of files.

    Returns:
        The entities, and the size of all files that they name in bytes.

    Raises:
        DataError: a missing column, an empty table, an id that is empty or stands there twice, a value of the
            wrong type, a path that leaves the folder.
    """
    issues = Issues()
    own = {name: feature for name, feature in schema.features.items() if feature.path is None}
    shown = {name: own[name].column or name if name in own else name for name in schema.display}
    existing = table.column_names()
    shown = {name: name if name in existing else column for name, column in shown.items()}
    ids = _TextColumn(schema.id)
    features = {name: _gatherer(feature, feature.column or name, issues) for name, feature in own.items()}
    display = {
        name: _MediaColumn(column, kind) if (kind := _media_kind(own, name)) else _TextColumn(column)
        for name, column in shown.items()
    }
    gatherers = [*features.values(), *display.values()]
    wanted = list(dict.fromkeys([schema.id, *(gatherer.column for gatherer in gatherers)]))
    check_columns(existing, wanted, table.name)
    places = _Places()
    for rows in table.rows(wanted):
        ids.parts.append(_checked_ids(rows, schema.id))
        for gatherer in gatherers:
            gatherer.add(rows)
        places.add(rows)
    if not places.num_rows:
        raise DataError(f"{table.name}: the table of {side} is empty; expected at least one row below the header")
    entities = Entities(ids.finish().cast(pa.string()), root=root, source=table.name, counted=issues)
    _check_distinct(entities.ids, places, schema.id)
    entities.features = {name: gatherer.finish() for name, gatherer in features.items()}
    entities.display = {name: gatherer.finish() for name, gatherer in display.items()}
    total = sum(_check_media(entities, name, own[name].kind, places) for name in own if own[name].kind in MEDIA_KINDS)
    add_vectors(entities, schema, side)
    return entities, total


def add_vectors(entities: Entities, schema: EntitySchema, side: str) -> None:
    """Opens the arrays that the schema names by `path`, one row for each id."""
    for name, feature in schema.features.items():
        if feature.path is not None:
            key = f"{side}.features.{name}.path"
            entities.features[name] = load_vectors(entities.root, feature.path, len(entities), key, entities.counted)
    entities.features = {name: entities.features[name] for name in schema.features}


def _media_kind(own: dict[str, Feature], name: str) -> str | None:
    found = (feature.kind for key, feature in own.items() if (feature.column or key) == name)
    return next((kind for kind in found if kind in MEDIA_KINDS), None)


def _checked_ids(rows: Rows, column: str) -> pa.Array:
    ids = columns.to_ids(rows, column)
    if ids.null_count:
        row = int(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"{rows.place(row, column)}: expected an id, found none; give the row an id or remove it")
    return ids


def _check_distinct(ids: pa.Array, places: _Places, column: str) -> None:
    twice = first_duplicate(ids)
    if twice is not None:
        first, second = twice
        raise DataError(
            f"{places(second)}, column {column!r}: the id {ids[first].as_py()!r} stands there twice, first "
            "in "
            f"{places(first)}; ids must be distinct, remove or rename one"
        )


def _check_media(entities: Entities, name: str, kind: str, places: _Places) -> int:
    """Checks the paths of a feature's files; counts the missing ones."""
    column = entities.features[name]
    if is_binary(column):
        return 0
    if entities.root is None:
        if column.null_count == len(column):
            return 0
        raise DataError(
            f"{entities.source}, column {name!r}: {NOUNS[kind]}s are given by paths, but no folder; pass root="
        )
    found = check_paths(entities.root, column, lambda row: f"{places(row)}, column {name!r}")
    if found.missing.size:
        first = int(found.missing[0])
        example = f"{places(first)}: {column[first].as_py()!r}"
        entities.counted.add(f"missing {NOUNS[kind]} file", f"{entities.source}, {name}", found.missing.size, example)
        entities.mark_unusable(name, found.missing)
    return found.total_bytes
