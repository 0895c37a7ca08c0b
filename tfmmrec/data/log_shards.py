"""A file of interactions as one of many processes reads it, row by row checked, its ids not yet looked up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tfmmrec.data.dataset_counts import DatasetCounts
from tfmmrec.data.fingerprint import hash_files
from tfmmrec.data.id_numbers import file_and_row, place_of, placed_ids
from tfmmrec.data.ids import IdIndex
from tfmmrec.data.interaction_log import InteractionLog, coded_ids
from tfmmrec.data.issues import Issues
from tfmmrec.data.packed_rows import PLACE_BITS, ROWS_AT_ONCE, column, dealt, numbers, partitions_of
from tfmmrec.data.readers import Rows
from tfmmrec.data.row_checks import Readable, Rejected, readable_rows, rejected
from tfmmrec.data.sharded_dataset import ShardedDataset, log_columns
from tfmmrec.schema import InteractionsSchema
from tfmmrec.types import DataError

CONTEXT = "context "
"""What the names of context features begin with, among the columns of a packed row."""


@dataclass
class _Parsed:
    """Rows of a log: those with both ids, the ids in the order in which a log learns them, and what was counted."""

    rows: pa.RecordBatch
    ids: dict[str, pa.RecordBatch]
    without_id: np.ndarray
    num_positive: int
    issues: Issues


class _OneBatch(InteractionLog):
    """Reads a batch as a whole log would, but looks no id up."""

    def __init__(self, schema: InteractionsSchema):
        super().__init__(schema, IdIndex(), IdIndex(), {}, Issues())

    def _spool(self):
        return None

    def parse(self, rows: Rows, file: int) -> _Parsed:
        positive = self._positive(rows)
        sides = {"query": self.schema.query, "candidate": self.schema.candidate}
        coded = {side: coded_ids(rows, name) for side, name in sides.items()}
        keep = positive
        for side, name in sides.items():
            keep = keep & self._count_missing(rows, keep, coded[side][0], name)
        values = self._columns(rows)
        arrays: dict[str, pa.Array] = {"place": pa.array(place_of(file, rows.first) + np.flatnonzero(keep))}
        ids = {}
        for side, (codes, known) in coded.items():
            own = codes[keep]
            arrays[side] = known.take(pa.array(own)).cast(pa.large_string())
            used = np.flatnonzero(np.bincount(own, minlength=len(known)))
            ids[side] = placed_ids(known.take(pa.array(used)), place_of(file, rows.first) + used)
        for name, array in values.items():
            kept = array[keep]
            if name in self.vocabularies:
                kept = self.vocabularies[name].ids.take(pa.array(kept, mask=kept < 0)).cast(pa.large_string())
            shown = f"{CONTEXT}{name}" if name in self.schema.features else name
            arrays[shown] = kept if isinstance(kept, pa.Array) else pa.array(kept)
        batch = pa.record_batch(list(arrays.values()), list(arrays))
        return _Parsed(batch, ids, np.flatnonzero(positive & ~keep), self.num_positive, self.issues)


def read_log_file(file: int, dataset: ShardedDataset) -> Iterator[tuple[str, object]]:
    """Reads one file.

    Args:
        file: its number in `dataset.log`.
        dataset: what is prepared.

    Yields:
        ("rows", (partition of the candidate's id, packed rows)), ("query ids" or "candidate ids", (partition, packed
        ids and places)) where the interactions say which ids there are, ("rejected", a line of JSON) and ("counts",
        DatasetCounts). A file that cannot be read to its end, or lacks a column, is a fault.
    """
    part, name = dataset.log[file]
    schema, counts = dataset.schema.interactions, DatasetCounts()
    wanted = log_columns(schema)
    sides = {"query": "queries", "candidate": "candidates"}
    learned = [side for side, plural in sides.items() if not dataset.is_fixed(plural)]
    pending: dict[str, list[pa.RecordBatch]] = {}
    try:
        table = dataset.table(name, f"interactions.{part}")
        counts.digests[f"log {file:09}"] = hash_files(table.root, table.paths)[0]
        for rows in table.rows(wanted):
            counts.counts["read", part] += len(rows)
            for piece in readable_rows(rows, lambda own: _OneBatch(schema).parse(own, file)):
                if isinstance(piece, Rejected):
                    counts.counts["unreadable", part] += 1
                    yield "rejected", piece.line()
                    continue
                yield from _told(piece, file)
                counts.counts["positive", part] += piece.found.num_positive
                pending.setdefault("rows", []).append(piece.found.rows)
                for side in learned:
                    pending.setdefault(f"{side} ids", []).append(piece.found.ids[side])
                if sum(map(len, pending["rows"])) >= ROWS_AT_ONCE:
                    yield from _dealt(pending, dataset)
                    pending = {}
        yield from _dealt(pending, dataset)
    except DataError as error:
        counts.faults = (str(error),)
        yield "rejected", Rejected(name, 0, str(error), {}).line()
    yield "counts", counts


def _dealt(pending: dict[str, list[pa.RecordBatch]], dataset: ShardedDataset) -> Iterator[tuple[str, object]]:
    """Deals many rows out at once: a pack of few rows is mostly their description."""
    for tag, batches in pending.items():
        table = pa.Table.from_batches(batches)
        ids = column(table, "candidate" if tag == "rows" else "id")
        for own in dealt(table, partitions_of(ids, dataset.num_partitions)):
            yield tag, own


def _told(piece: Readable[_Parsed], file: int) -> Iterator[tuple[str, object]]:
    found = piece.found
    for index in found.without_id:
        yield "rejected", rejected(piece.rows, int(index), "interaction without an id").line()
    if found.issues.all:
        yield "counts", DatasetCounts.of_issues("log", place_of(file, piece.rows.first), found.issues)


def known_rows(rows: pa.Table, dataset: ShardedDataset) -> Iterator[tuple[str, object]]:
    """Rows whose ids were looked up: those of known ids on, the others out.

    Args:
        rows: with `query_row` and `candidate_row`, -1 where unknown.
        dataset: what is prepared.

    Yields:
        ("known", the rows), ("rejected", a line of JSON) and ("counts", DatasetCounts).
    """
    counts, files = DatasetCounts(), dataset.log
    places = numbers(rows, "place")
    reasons: dict[int, list[str]] = {}
    for side, plural in (("query", "queries"), ("candidate", "candidates")):
        unknown = np.flatnonzero(numbers(rows, f"{side}_row") < 0)
        ids = column(rows, side)
        for index in unknown[np.argsort(places[unknown])].tolist():
            file, row = file_and_row(int(places[index]))
            id, source = ids[index].as_py(), dataset.source(plural)
            reasons.setdefault(index, []).append(f"unknown {side} id: {id!r} has no row in {source}")
            key = ("log", f"unknown {side} id", f"{files[file][1]}, no row in {source}")
            place, count, example = counts.issues.get(
                key, ((int(places[index]), 9), 0, f"{files[file][1]}, row {row}: {id!r}")
            )
            counts.issues[key] = (place, count + 1, example)
    log = dataset.schema.interactions
    for index, reason in reasons.items():
        file, row = file_and_row(int(places[index]))
        values = {log.query: rows["query"][index].as_py(), log.candidate: rows["candidate"][index].as_py()}
        yield "rejected", Rejected(files[file][1], row, "; ".join(reason), values).line()
    is_known = np.ones(len(rows), bool)
    is_known[list(reasons)] = False
    known = rows.filter(pa.array(is_known))
    of_file = np.bincount(numbers(known, "place") >> PLACE_BITS, minlength=len(files))
    for (part, _), count in zip(files, of_file.tolist(), strict=True):
        counts.counts["kept", part] += count
    yield "counts", counts
    if len(known):
        yield "known", known
