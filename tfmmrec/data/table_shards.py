"""A file of candidates or queries as one of many processes reads it: ids, counts of features, each row that is bad."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfmmrec.data import columns
from tfmmrec.data.dataset_counts import DatasetCounts
from tfmmrec.data.entities import Entities
from tfmmrec.data.entity_reader import read_entities
from tfmmrec.data.feature_counts import FeatureCounts, count_feature
from tfmmrec.data.fingerprint import hash_files
from tfmmrec.data.id_numbers import by_hash, file_and_row, first_places, place_of, placed_ids
from tfmmrec.data.media import MediaError, is_binary, read_media
from tfmmrec.data.readers import Rows
from tfmmrec.data.row_checks import Readable, Rejected, readable_rows
from tfmmrec.data.sharded_dataset import ShardedDataset, table_columns
from tfmmrec.data.usable_media import usable_media
from tfmmrec.schema import MEDIA_KINDS, EntitySchema
from tfmmrec.types import DataError


@dataclass(frozen=True)
class _OneBatch:
    """Some rows as a table of their own."""

    name: str
    names: list[str]
    batch: Rows

    def column_names(self) -> list[str]:
        return self.names

    def rows(self, wanted: Sequence[str]) -> Iterator[Rows]:
        yield Rows(self.batch.source, self.batch.first, self.batch.batch.select(list(wanted)))


def read_table_file(file: int, side: str, dataset: ShardedDataset, with_media: bool) -> Iterator[tuple[str, object]]:
    """Reads one file, and brings what its rows name by paths.

    Args:
        file: its number in `dataset.tables[side]`.
        side: "candidates" or "queries".
        dataset: what is prepared.
        with_media: decode every picture, sound and video too.

    Yields:
        ("ids", (partition, packed ids and places)), ("feature", ((side, feature, partition), FeatureCounts)),
        ("rejected", a line of JSON) and ("counts", DatasetCounts). A row that cannot be read is a fault of its table,
        as is a file that breaks off.
    """
    schema, name = getattr(dataset.schema, side), dataset.tables[side][file]
    own = schema.model_copy(update={"features": {k: v for k, v in schema.features.items() if v.path is None}})
    counts = DatasetCounts()
    try:
        table = dataset.table(name, f"{side}.path")
        counts.digests[f"{side} {file:09}"] = hash_files(table.root, table.paths)[0]
        names = table.column_names()
        for rows in table.rows(table_columns(own, names)):
            for piece in readable_rows(rows, lambda some: _entities(own, some, names, side, dataset)):
                if isinstance(piece, Rejected):
                    counts.faults = DatasetCounts.merged([counts, DatasetCounts(faults=(piece.reason,))]).faults
                    yield "rejected", piece.line()
                else:
                    yield from _outputs(piece, own, side, file, dataset, with_media)
    except DataError as error:
        counts.faults = (*counts.faults, str(error))
        yield "rejected", Rejected(name, 0, str(error), {}).line()
    yield "counts", counts


def _entities(
    schema: EntitySchema, rows: Rows, names: list[str], side: str, dataset: ShardedDataset
) -> tuple[Entities, int]:
    """Some rows; a vector that none of them has is left out."""
    features = {
        name: feature
        for name, feature in schema.features.items()
        if feature.kind != "vector" or any(columns.to_vectors(rows, feature.column or name))
    }
    some = schema.model_copy(update={"features": features})
    return read_entities(some, _OneBatch(schema.path, names, rows), side, Path(dataset.root))


def _outputs(
    piece: Readable[tuple[Entities, int]],
    schema: EntitySchema,
    side: str,
    file: int,
    dataset: ShardedDataset,
    with_media: bool,
) -> Iterator[tuple[str, object]]:
    (entities, size), rows = piece.found, piece.rows
    place = place_of(file, rows.first)
    for partition, packed in by_hash(placed_ids(entities.ids, place + np.arange(len(rows))), dataset.num_partitions):
        yield "ids", (partition, packed)
    for name, feature in schema.features.items():
        if name not in entities.features:
            counted = FeatureCounts("vector", num_rows=len(rows), num_null=len(rows))
        else:
            counted = count_feature(feature, entities.features[name], place)
        if feature.kind in MEDIA_KINDS and not is_binary(entities.features[name]):
            bring_files(Path(dataset.root), Path(dataset.to), entities.features[name].drop_null().to_pylist())
        if feature.kind in MEDIA_KINDS and with_media:
            yield from _check_media(entities, name, feature.kind, rows, counted)
        for partition, part in counted.dealt(dataset.num_partitions):
            yield "feature", ((side, name, partition), part)
    found = DatasetCounts.of_issues(side, place, entities.counted)
    found.counts["media bytes", side] += size
    yield "counts", found


def _check_media(
    entities: Entities, name: str, kind: str, rows: Rows, counted: FeatureCounts
) -> Iterator[tuple[str, object]]:
    """Decodes every file once; a bad one is counted and told, its row stays."""
    for row, value in enumerate(entities.features[name].to_pylist()):
        if value is None:
            continue
        try:
            usable_media(kind, read_media(entities.root, value, kind), entities.max_pixels)
        except MediaError as error:
            counted.unusable[error.kind] += 1
            entities.note_unusable(name, row, value, error)
            values = {"id": entities.ids[row].as_py(), name: value}
            yield "rejected", Rejected(rows.source, rows.first + row, f"without its {name}: {error}", values).line()


def distinct_ids(
    partition: int, packed: Iterable[bytes], side: str, dataset: ShardedDataset
) -> Iterator[tuple[str, object]]:
    """Each id of a partition once; an id that stands in a table twice is a fault of it.

    Args:
        partition: whose ids these are.
        packed: ids and places.
        side: "candidates" or "queries".
        dataset: what is prepared.

    Yields:
        ("stretch", (stretch, packed ids and places)), ("rejected", a line of JSON) and ("counts", DatasetCounts).
    """
    for tag, value in first_places(packed, distinct=bool(dataset.tables[side])):
        if tag == "again":
            twice = _duplicate(value, side, dataset)
            yield "rejected", twice.line()
            yield "counts", DatasetCounts(faults=(twice.reason,))
        else:
            yield tag, value


def _duplicate(again: tuple[str, int, int], side: str, dataset: ShardedDataset) -> Rejected:
    (id, *places), files = again, dataset.tables[side]
    (file, row), (first_file, first_row) = (file_and_row(place) for place in places)
    column = getattr(dataset.schema, side).id
    reason = (
        f"{files[file]}, row {row}, column {column!r}: the id {id!r} stands there twice, first in {files[first_file]}, "
        f"row {first_row}; ids must be distinct, remove or rename one"
    )
    return Rejected(files[file], row, reason, {column: id})


def bring_files(root: Path, to: Path, paths: Sequence[str]) -> None:
    """Gives a folder the files of another one, those that are there, under the same paths.

    They are the same files by another name (hard links) where the file system can do that, else copies.

    Args:
        root: the folder that has them.
        to: the folder that gets them.
        paths: relative to both.
    """
    for folder in {os.path.dirname(path) for path in paths}:
        with contextlib.suppress(ValueError):  # a name with a null byte, which no folder has
            (to / folder).mkdir(parents=True, exist_ok=True)
    for path in paths:
        with contextlib.suppress(FileNotFoundError, FileExistsError, ValueError, IsADirectoryError):
            _bring(os.path.realpath(root / path), to / path)


def _bring(source: str, target: Path) -> None:
    try:
        os.link(source, target)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:  # another file system, or one without links
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copyfile(source, partial)
        os.replace(partial, target)
