"""Tables of new or changed candidates, and lists of removed ones, for an index that is refreshed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfmmrec.data.columns import to_ids
from tfmmrec.data.entities import Entities
from tfmmrec.data.entity_reader import read_entities
from tfmmrec.data.readers import FileTable, format_of
from tfmmrec.schema import CandidatesSchema, Schema
from tfmmrec.serving.contents import as_lists, is_list
from tfmmrec.types import DataError


@dataclass
class NewCandidates:
    """A table of candidates.

    Attributes:
        entities: its rows.
        ignored: columns that it has and the schema does not name.
    """

    entities: Entities
    ignored: list[str]


def read_new_candidates(path: str | Path, schema: Schema, inputs: Mapping[str, Any]) -> NewCandidates:
    """Reads candidates as the dataset's own table is read.

    Args:
        path: a Parquet, CSV, JSON Lines or TFRecord file; paths of pictures, sounds and videos in it are relative to
            its folder.
        schema: of the dataset that the model was trained on. The table has its id column, its display columns, and a
            column for every feature, those included that the dataset has as arrays in a file.
        inputs: of the signature `embed_candidate`, as signatures.json has them.

    Raises:
        DataError: no such file, a missing column, an id that is missing or stands there twice, values of the wrong
            kind, or vectors of another size.
    """
    table = _table(path, "new candidates")
    described = _as_table(schema)
    sizes = {name: inputs.get(f"candidate_{name}", {}).get("shape") for name in described.features}
    empty = [name for name, feature in described.features.items() if feature.kind == "vector" and sizes[name]]
    empty = [name for name in empty if _is_empty(table, described.features[name].column)]
    kept = {name: feature for name, feature in described.features.items() if name not in empty}
    entities, _ = read_entities(described.model_copy(update={"features": kept}), table, "candidates", table.root)
    for name in empty:  # which a reader of datasets refuses: it cannot know how long they would be
        entities.features[name] = np.full((len(entities), *sizes[name]), np.nan, np.float32)
    for name, feature in kept.items():
        entry = inputs.get(f"candidate_{name}", {})
        column = entities.features[name]
        where = f"{table.name}, column {feature.column!r}"
        if feature.kind == "vector" and entry and [column.shape[1]] != entry["shape"]:
            raise DataError(f"{where}: expected vectors of {entry['shape'][0]} numbers, found {column.shape[1]}")
        if "list_length" in entry and not is_list(column.type):
            entities.features[name] = as_lists(column)
        elif entry and feature.kind not in ("vector", "number") and "list_length" not in entry and is_list(column.type):
            raise DataError(f"{where}: expected one value a row, as the model was trained with, found lists")
    entities.features = {name: entities.features[name] for name in described.features}
    known = {described.id, *described.display, *(feature.column for feature in described.features.values())}
    return NewCandidates(entities, [name for name in table.column_names() if name not in known])


def read_ids(path: str | Path, schema: Schema) -> list[str]:
    """The ids alone of a table of candidates.

    Raises:
        DataError: no such file, no id column, or a row without an id.
    """
    return _ids(_table(path, "new candidates"), _as_table(schema).id)


def read_removed(path: str | Path, schema: Schema, indexed: Collection[str] = ()) -> list[str]:
    """The ids in a file, each once: one a line, or a column of a table: that named as the dataset's, or the only one.

    Args:
        path: a table by its name's end, else a text.
        schema: of the dataset that the model was trained on.
        indexed: the ids of the index, by which a table without a heading is known.

    Raises:
        DataError: no such file, not a text in UTF-8, no id in it, or a row of a table without one; a table of which it
            cannot be told where the ids stand.
    """
    path = Path(path)
    if format_of(path):
        table = _table(path, "removed candidates")
        ids = _ids(table, _id_column(table, _as_table(schema).id, indexed))
    else:
        try:
            ids = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{path}: expected a text file with an id a line, or a table: {getattr(error, 'strerror', error)}"
            ) from error
    if not ids:
        raise DataError(f"{path}: expected ids of candidates to remove, found none")
    return list(dict.fromkeys(ids))


def _id_column(table: FileTable, wanted: str, indexed: Collection[str]) -> str:
    names = table.column_names()
    headless = [name for name in names if name in indexed]
    if headless:
        raise DataError(
            f"{table.name}: its heading has {headless[0]!r}, which is a candidate's id; begin with a line with the "
            f"columns' names, {wanted!r} for the ids, or give a text file (.txt) with an id a line"
        )
    if wanted not in names and len(names) != 1:
        found = ", ".join(map(repr, names)) or "no column"
        raise DataError(f"{table.name}: expected a column {wanted!r} with the ids, or one column alone, found {found}")
    return wanted if wanted in names else names[0]


def _ids(table: FileTable, column: str) -> list[str]:
    ids = []
    for rows in table.rows([column]):
        values = to_ids(rows, column)
        if values.null_count:
            place = rows.place(values.is_null().index(True).as_py(), column)
            raise DataError(f"{place}: expected an id, found none; give the row an id or remove it")
        ids += values.to_pylist()
    return ids


def _is_empty(table: FileTable, column: str) -> bool:
    parts = [rows.column(column) for rows in table.rows([column])] if column in table.column_names() else []
    return bool(parts) and all(part.null_count == len(part) for part in parts)


def _table(path: str | Path, what: str) -> FileTable:
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a table of {what}")
    return FileTable(path.resolve().parent, path.resolve().name, what)


def _as_table(schema: Schema) -> CandidatesSchema:
    """The candidates' description as of one table, whatever form the dataset has."""
    own = schema.candidates
    features = {
        name: feature.model_copy(update={"path": None, "column": feature.column or name})
        for name, feature in own.features.items()
    }
    id = own.id or schema.interactions.candidate
    return CandidatesSchema(path="-", id=id, display=own.display, features=features)


def no_candidates() -> Entities:
    """A table without rows, for a refresh that only removes."""
    return Entities(pa.array([], pa.string()))
