"""Looks a dataset over: counts, missing values, unreadable files, ids without a row, duplicates."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from tfmmrec.data.config import DEFAULT_NAME, parse_schema, read_schema, read_yaml_text
from tfmmrec.data.dataset import Dataset, dataset_of_schema
from tfmmrec.data.entities import Entities
from tfmmrec.data.interactions import Interactions
from tfmmrec.data.media import MediaError, read_media
from tfmmrec.data.proposal import propose_schema
from tfmmrec.data.usable_media import usable_media
from tfmmrec.schema import MEDIA_KINDS, EntitySchema, Feature

QUANTILES = {"min": 0.0, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


class InspectedFeature(BaseModel):
    """One feature.

    Attributes:
        kind: its kind.
        num_missing: rows without a value.
        num_distinct: different values (of a category with several values: different single ones), None where
            that says nothing.
        examples: the most frequent values; the least, middle and greatest number; the size of a vector.
        unusable: fault -> how many pictures, sounds or videos have it.
    """

    kind: str
    num_missing: int = 0
    num_distinct: int | None = None
    examples: list[str] = []
    unusable: dict[str, int] = {}


class InspectedSide(BaseModel):
    """Candidates or queries.

    Attributes:
        source: the table, or where the ids come from.
        num_rows: how many there are.
        num_without_train: those that no training interaction has.
        features: by name.
    """

    source: str
    num_rows: int
    num_without_train: int
    features: dict[str, InspectedFeature] = {}


class InspectedPart(BaseModel):
    """One part of the interactions.

    Attributes:
        num_rows: interactions.
        num_queries: queries with at least one.
        num_candidates: candidates with at least one.
        num_duplicates: rows whose query and candidate stand in an earlier row already.
        density: interactions per pair of a query and a candidate.
        history_lengths: quantiles of the interactions of a query, over queries with at least one.
    """

    num_rows: int
    num_queries: int
    num_candidates: int
    num_duplicates: int
    density: float
    history_lengths: dict[str, float]


class InspectedIssue(BaseModel):
    """An imperfection that is survived; see `Issue`."""

    kind: str
    where: str
    count: int
    example: str


class Inspection(BaseModel):
    """What was found in a dataset folder.

    Attributes:
        folder: the folder.
        proposal: the text of a first `dataset.yaml`, when the folder had none; what follows was found with
            it.
        candidates: the catalogue.
        queries: who is asking.
        parts: the interactions, by part.
        num_cold_candidates: candidates held out of training altogether.
        num_seen_in_test: rows of test whose query and candidate are a row of train too.
        issues: imperfections that are survived.
        fingerprint: of the data.
    """

    folder: str
    proposal: str | None = None
    candidates: InspectedSide
    queries: InspectedSide
    parts: dict[str, InspectedPart]
    num_cold_candidates: int
    num_seen_in_test: int
    issues: list[InspectedIssue]
    fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return self.model_dump()


def inspect_dataset(folder: str | Path, config: str | Path | None = None) -> Inspection:
    """Reads a whole dataset, decodes every picture, sound and video, and counts.

    Args:
        folder: the dataset's folder; without a `dataset.yaml` and `config`, one is proposed and used.
        config: another yaml; the paths in it are relative to `folder`.

    Raises:
        DataError: the dataset cannot be used, or no schema can be proposed.
    """
    folder, proposal = Path(folder), None
    if config is None and folder.is_dir() and not (folder / DEFAULT_NAME).exists():
        proposal = propose_schema(folder)
        schema = parse_schema(read_yaml_text(proposal, "the proposed schema"), "the proposed schema")
    else:
        schema = read_schema(folder, config)
    dataset = dataset_of_schema(schema, folder)
    counts = sum(part.counts() for name, part in dataset.parts.items() if name != "test")
    lengths = sum(np.diff(part.indptr) for name, part in dataset.parts.items() if name != "test")
    return Inspection(
        folder=str(folder),
        proposal=proposal,
        candidates=_side(dataset.candidates, schema.candidates, counts),
        queries=_side(dataset.queries, schema.queries, lengths),
        parts={name: _part(part) for name, part in dataset.parts.items()},
        num_cold_candidates=int(dataset.cold_candidates.sum()),
        num_seen_in_test=_num_shared(dataset),
        issues=[InspectedIssue(**vars(issue)) for issue in dataset.issues],
        fingerprint=dataset.fingerprint,
    )


def _side(entities: Entities, schema: EntitySchema, counts: np.ndarray) -> InspectedSide:
    features = {name: _feature(entities, name, feature) for name, feature in schema.features.items()}
    num_without = int(np.count_nonzero(np.asarray(counts) == 0))
    return InspectedSide(
        source=entities.source, num_rows=len(entities), num_without_train=num_without, features=features
    )


def _feature(entities: Entities, name: str, feature: Feature) -> InspectedFeature:
    column = entities.features[name]
    if feature.kind == "number":
        known = column[~np.isnan(column)]
        examples = [f"{value:g}" for value in np.quantile(known, [0, 0.5, 1])] if known.size else []
        missing, distinct = column.size - known.size, np.unique(known).size
        return InspectedFeature(kind=feature.kind, num_missing=missing, num_distinct=distinct, examples=examples)
    if feature.kind == "vector":
        missing = int(np.isnan(column[:, 0]).sum())
        return InspectedFeature(kind=feature.kind, num_missing=missing, examples=[f"{column.shape[1]} numbers"])
    found = InspectedFeature(kind=feature.kind, num_missing=column.null_count)
    if feature.kind in MEDIA_KINDS:
        found.unusable = _unusable(entities, name, feature.kind)
        return found
    values = _single_values(column, feature.separator)
    counted = sorted(zip(*_counts(values), strict=True), key=lambda pair: -pair[1])
    found.num_distinct = len(counted)
    found.examples = [value if len(value) <= 60 else value[:57] + "..." for value, _ in counted[:3]]
    return found


def _single_values(column: pa.Array, separator: str | None) -> pa.Array:
    if pa.types.is_large_list(column.type):
        return pc.list_flatten(column).drop_null()
    column = column.drop_null()
    if separator is None:
        return column
    parts = pc.utf8_trim_whitespace(pc.list_flatten(pc.split_pattern(column, separator)))
    return parts.filter(pc.not_equal(parts, ""))


def _counts(values: pa.Array) -> tuple[list[str], list[int]]:
    counted = values.value_counts()
    return counted.field("values").to_pylist(), counted.field("counts").to_pylist()


def _unusable(entities: Entities, name: str, kind: str) -> dict[str, int]:
    """Decodes every file once; the faults also go to the issues."""
    faults: Counter[str] = Counter()
    for row in range(len(entities)):
        value = entities.features[name][row].as_py()
        if value is None:
            continue
        try:
            usable_media(kind, read_media(entities.root, value, kind), entities.max_pixels)
        except MediaError as error:
            faults[error.kind] += 1
            entities.note_unusable(name, row, value, error)
    return dict(faults)


def _part(part: Interactions) -> InspectedPart:
    lengths = np.diff(part.indptr)
    lengths = lengths[lengths > 0]
    quantiles = np.quantile(lengths, list(QUANTILES.values()), method="nearest") if lengths.size else []
    return InspectedPart(
        num_rows=part.num_rows,
        num_queries=int(lengths.size),
        num_candidates=int(np.count_nonzero(part.counts())),
        num_duplicates=sum(int(keys.size - np.unique(keys).size) for keys in _keys(part)),
        density=part.num_rows / max(part.num_queries * part.num_candidates, 1),
        history_lengths={name: float(value) for name, value in zip(QUANTILES, quantiles, strict=False)},
    )


def _keys(part: Interactions):
    """Blocks of one number for each pair of a query and a candidate."""
    for queries, rows in part.blocks():
        sizes = np.diff(part.indptr[queries.start : queries.stop + 1])
        owner = np.repeat(np.arange(queries.start, queries.stop, dtype=np.int64), sizes)
        yield owner * part.num_candidates + part.indices[rows]


def _num_shared(dataset: Dataset) -> int:
    if dataset.test is None:
        return 0
    shared = 0
    for queries, rows in dataset.test.blocks():
        keys = next(_keys(_only(dataset.test, queries, rows)))
        start, stop = dataset.train.indptr[queries.start], dataset.train.indptr[queries.stop]
        seen = [*_keys(_only(dataset.train, queries, slice(int(start), int(stop))))]
        shared += int(np.isin(keys, np.concatenate(seen)).sum()) if seen else 0
    return shared


def _only(part: Interactions, queries: slice, rows: slice) -> Interactions:
    """The same queries and rows as a log of their own."""
    indptr = part.indptr[queries.start : queries.stop + 1] - rows.start
    return Interactions(indptr, part.indices[rows], {}, part.num_candidates)
