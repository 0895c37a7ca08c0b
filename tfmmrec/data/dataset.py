"""A dataset as the rest of the library sees it: two sides with their features, and the parts of the log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfmmrec.data.config import parse_schema, read_schema
from tfmmrec.data.entities import Entities
from tfmmrec.data.entity_reader import add_vectors, read_entities
from tfmmrec.data.fingerprint import hash_files, hash_frame
from tfmmrec.data.ids import IdIndex
from tfmmrec.data.interaction_log import InteractionLog
from tfmmrec.data.interactions import Interactions
from tfmmrec.data.issues import Issue, Issues
from tfmmrec.data.readers import FileTable, FrameTable, Table, find_files
from tfmmrec.data.splits import choose_cold, split_interactions, without
from tfmmrec.schema import EntitySchema, Schema
from tfmmrec.types import DataError, UsageError

__all__ = ["Dataset", "Entities", "Interactions", "Issue", "dataset_from_frames", "load_dataset"]


@dataclass
class Dataset:
    """A validated dataset.

    Attributes:
        schema: its description.
        root: its folder, None for data in memory.
        candidates: the catalogue.
        queries: who is asking.
        train: interactions to learn from; those of cold candidates are not in it.
        valid: for choosing epoch and hyperparameters, None when there is no such part.
        test: for the final measurement, None when there is no such part.
        cold_candidates: bool `[num_candidates]`: held out of training altogether: those drawn for
            `cold_candidates`, or without it all that no row of train or valid has.
        fingerprint: changes whenever the schema or the data change.
    """

    schema: Schema
    root: Path | None
    candidates: Entities
    queries: Entities
    train: Interactions
    valid: Interactions | None
    test: Interactions | None
    cold_candidates: np.ndarray
    fingerprint: str = ""
    log_issues: Issues = field(default_factory=Issues, repr=False)

    @property
    def issues(self) -> list[Issue]:
        """Imperfections that were counted and survived, those of pictures read since included."""
        return [*self.log_issues.all, *self.candidates.issues, *self.queries.issues]

    @property
    def parts(self) -> dict[str, Interactions]:
        """The parts there are, by name."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    def summary(self) -> dict[str, Any]:
        """Counts that describe the dataset at a glance."""
        pairs = len(self.queries) * len(self.candidates)
        total = sum(part.num_rows for part in self.parts.values())
        return {
            "num_candidates": len(self.candidates),
            "num_queries": len(self.queries),
            "num_interactions": {name: part.num_rows for name, part in self.parts.items()},
            "num_cold_candidates": int(self.cold_candidates.sum()),
            "density": total / pairs if pairs else 0.0,
            "candidate_features": {name: feature.kind for name, feature in self.schema.candidates.features.items()},
            "query_features": {name: feature.kind for name, feature in self.schema.queries.features.items()},
            "num_issues": sum(issue.count for issue in self.issues),
        }


def load_dataset(folder: str | Path, config: str | Path | None = None, cache_dir: str | Path | None = None) -> Dataset:
    """Reads and checks a dataset folder.

    Args:
        folder: the folder with the tables and, unless `config` names another, `dataset.yaml`.
        config: another yaml; the paths in it are relative to `folder`.
        cache_dir: where the large arrays lie while they are used; the system's temporary folder when None.

    Returns:
        The dataset. Interactions are streamed into memory-mapped arrays, pictures are read when they are
        asked for.

    Raises:
        DataError: names the file, row and column, what was expected and found, and how to mend it.
    """
    return dataset_of_schema(read_schema(folder, config), folder, cache_dir)


def load_candidates(folder: str | Path, config: str | Path | None = None) -> tuple[EntitySchema, Entities]:
    """Reads and checks the candidates' table alone, as `load_dataset` does, and their description.

    Raises:
        DataError: as `load_dataset`; also where the candidates have no table.
    """
    schema = read_schema(folder, config)
    if not schema.candidates.path:
        raise DataError(
            f"{folder}: its candidates have no table (candidates.path), so there is nothing to read of them"
        )
    root = Path(folder).resolve()
    table = FileTable(root, schema.candidates.path, "candidates.path")
    return schema.candidates, read_entities(schema.candidates, table, "candidates", root)[0]


def dataset_of_schema(schema: Schema, folder: str | Path, cache_dir: str | Path | None = None) -> Dataset:
    """Reads and checks a dataset folder by a schema that is not in a file; see `load_dataset`."""
    schema.check_files()
    root = Path(folder).resolve()
    log = schema.interactions
    files = {"path": log.path} if log.path else {"train": log.train, "valid": log.valid, "test": log.test}
    tables = {key: FileTable(root, name, f"interactions.{key}") for key, name in files.items() if name}
    digests = hash_files(root, [path for table in tables.values() for path in table.paths])
    return dataset_of_tables(schema, root, tables, digests, cache_dir=cache_dir)


def dataset_of_tables(
    schema: Schema,
    folder: str | Path | None,
    interactions: Mapping[str, Table],
    digests: Sequence[str],
    sides: Mapping[str, Table] | None = None,
    cache_dir: str | Path | None = None,
) -> Dataset:
    """Reads and checks a dataset whose log comes from elsewhere than its folder.

    Args:
        schema: the description; the files of its interactions are not looked at.
        folder: the folder of the candidates' and queries' tables, and of pictures; None where nothing is read from one.
        interactions: "train", and with it "valid" and "test"; or "path", which is parted by the schema's split.
        digests: of what the given tables hold, for the fingerprint.
        sides: "candidates" or "queries" -> a table in the place of the folder's.
        cache_dir: as of `load_dataset`.

    Raises:
        DataError: as `load_dataset`; or a table or an array without a folder to lie in.
    """
    root, cache = (None if path is None else Path(path).resolve() for path in (folder, cache_dir))
    given = dict(sides or {})
    described = {side: getattr(schema, side) for side in ("candidates", "queries")}
    named = {f"{side}.path": entities.path for side, entities in described.items() if side not in given}
    for side, entities in described.items():
        named |= {f"{side}.features.{name}.path": feature.path for name, feature in entities.features.items()}
    named = {key: path for key, path in named.items() if path}
    if named and root is None:
        raise DataError(f"`{next(iter(named))}` names a file, but there is no dataset's folder to find it in")
    paths = [path for key, name in named.items() for path in find_files(root, name, key)]
    for side in described:
        key = f"{side}.path"
        given.setdefault(side, FileTable(root, named[key], key) if key in named else None)
    tables = {side: given[side] for side in described}
    own = hash_files(root, paths) if paths else []
    return _assemble(schema, root, dict(interactions), tables, cache, [*digests, *own])


def dataset_from_frames(
    schema: Schema | Mapping[str, Any],
    interactions,
    candidates=None,
    queries=None,
    root: str | Path | None = None,
) -> Dataset:
    """Builds a dataset from pandas DataFrames.

    Args:
        schema: the description, as an object or as the content of a `dataset.yaml`; its table paths may be
            left out and are not looked at.
        interactions: one DataFrame to be parted by the schema's split, or {"train": ..., "valid": ...,
            "test": ...}.
        candidates: the catalogue, None when the ids come from the interactions.
        queries: who is asking, None when the ids come from the interactions.
        root: the folder that pictures' paths and `.npy` files are relative to.

    Raises:
        DataError: as `load_dataset`.
        UsageError: frames that do not fit the schema.
    """
    schema = schema if isinstance(schema, Schema) else parse_schema(schema, "schema")
    if isinstance(interactions, Mapping):
        if "train" not in interactions or set(interactions) - {"train", "valid", "test"}:
            raise UsageError(f"interactions must have the keys train, valid, test, got {sorted(interactions)}")
        tables = {
            part: FrameTable(interactions[part], part) for part in ("train", "valid", "test") if part in interactions
        }
    else:
        tables = {"path": FrameTable(interactions, "interactions")}
    sides = {}
    for side, frame in (("candidates", candidates), ("queries", queries)):
        if frame is not None and getattr(schema, side).id is None:
            raise UsageError(f"a frame of {side} needs `{side}.id` in the schema, the name of its id column")
        if frame is None and any(feature.path is None for feature in getattr(schema, side).features.values()):
            raise UsageError(f"the schema describes features of {side}, but there is no frame; pass {side}=")
        sides[side] = None if frame is None else FrameTable(frame, side)
    frames = [*tables.values(), *(table for table in sides.values() if table)]
    where = None if root is None else Path(root).resolve()
    return _assemble(schema, where, tables, sides, None, [hash_frame(table.frame) for table in frames])


def _assemble(
    schema: Schema,
    root: Path | None,
    tables: dict[str, Table],
    sides: dict[str, Table | None],
    folder: Path | None,
    hashes: list[str],
) -> Dataset:
    entities, indexes, picture_bytes = {}, {}, []
    for side, table in sides.items():
        entities[side], indexes[side], size = _side(getattr(schema, side), table, side, root)
        picture_bytes.append(size)
    issues, vocabularies = Issues(), {}
    logs = {
        part: InteractionLog(
            schema.interactions, indexes["queries"], indexes["candidates"], vocabularies, issues, folder
        ).read(table)
        for part, table in tables.items()
    }
    for side, index in indexes.items():
        if not index.fixed:
            entities[side].ids = index.ids
    parts = _parts(schema, {part: log.finish() for part, log in logs.items()})
    parts, cold = _hold_out_cold(schema, parts, len(entities["candidates"]))
    content = [schema.model_dump_json(), json.dumps(picture_bytes), *hashes]
    fingerprint = hashlib.sha256("\n".join(content).encode()).hexdigest()
    return Dataset(schema, root, **entities, **parts, cold_candidates=cold, fingerprint=fingerprint, log_issues=issues)


def _side(schema: EntitySchema, table: Table | None, side: str, root: Path | None) -> tuple[Entities, IdIndex, int]:
    if table is not None:
        entities, size = read_entities(schema, table, side, root)
        return entities, IdIndex(entities.ids, fixed=True, source=table.name), size
    if schema.ids is not None:
        ids = pa.array(np.arange(schema.ids.range)).cast(pa.string())
        entities = Entities(ids, root=root, source=side)
        add_vectors(entities, schema, side)
        return entities, IdIndex(ids, fixed=True, source=f"{side}.ids (range: {schema.ids.range})"), 0
    return Entities(pa.array([], pa.string()), root=root, source=side), IdIndex(), 0


def _parts(schema: Schema, logs: dict[str, Interactions]) -> dict[str, Interactions | None]:
    if "path" not in logs:
        return {"train": logs["train"], "valid": logs.get("valid"), "test": logs.get("test")}
    train, valid, test = split_interactions(
        logs["path"], schema.interactions.split_or_default, schema.interactions.seed
    )
    return {"train": train, "valid": valid, "test": test}


def _hold_out_cold(
    schema: Schema, parts: dict[str, Interactions | None], num_candidates: int
) -> tuple[dict[str, Interactions | None], np.ndarray]:
    counts = {name: part.counts() for name, part in parts.items() if part is not None}
    if not schema.interactions.cold_candidates:
        learned = counts["train"] + counts.get("valid", 0)
        return parts, learned == 0
    cold = choose_cold(sum(counts.values()), schema.interactions.cold_candidates, schema.interactions.seed)
    for name in ("train", "valid"):
        if parts[name] is not None:
            parts[name] = without(parts[name], cold)
            if not parts[name].num_rows:
                raise DataError(
                    f"interactions.cold_candidates: without the {int(cold.sum())} cold candidates {name} is "
                    "empty; lower it"
                )
    return parts, cold
