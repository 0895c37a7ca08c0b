"""Interactions by blocks of queries: each is parted, counted and written, as one process does it with all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tfmmrec.data.block_splits import Block, TimeBounds, split_block, time_buckets
from tfmmrec.data.dataset_counts import DatasetCounts
from tfmmrec.data.example_shards import shard_name, write_examples
from tfmmrec.data.id_numbers import with_rows
from tfmmrec.data.log_shards import known_rows
from tfmmrec.data.packed_rows import PLACE_BITS, column, dealt, numbers, partitions_of, unpack
from tfmmrec.data.prepared_schema import example_names
from tfmmrec.data.sharded_dataset import ROWS_PER_BLOCK, ShardedDataset
from tfmmrec.data.splits import TEST, TRAIN, VALID, choose_cold
from tfmmrec.data.value_counts import ValueCounts
from tfmmrec.types import DataError

NAMES = {TRAIN: "train", VALID: "valid", TEST: "test"}
_LEFT_OUT = 3
Chosen = tuple[np.ndarray, np.ndarray]
"""Rows of candidates, int64 `[n]` ascending, and how often each part has them, int64 `[3, n]`."""


@dataclass(frozen=True)
class Known:
    """What is to be known of the whole log before a block of it can be parted.

    Attributes:
        starts: block of queries -> how many interactions the blocks before it have.
        num_queries: of all blocks.
        num_candidates: of the catalogue.
        bounds: for a split by time.
        cold: the candidates that are held out of training, a bit each; None where none are drawn.
        whole_times: all times are whole numbers.
        faults: why nothing can be parted.
    """

    starts: Mapping[int, int]
    num_queries: int
    num_candidates: int
    bounds: TimeBounds | None = None
    cold: bytes | None = None
    whole_times: bool = False
    faults: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        starts: Mapping[int, int],
        queries: Mapping[int, int],
        candidates: Mapping[int, int],
        fractions: Iterable[bool],
        test: tuple[float, int] | None,
        valid: tuple[float, int] | None,
        cold: tuple[bytes, str] | None,
    ) -> Known:
        """From what the steps before have found: `starts_of` interactions, queries and candidates, `deal_known`'s
        fractions, `newest_from` for test and validation, and `draw_cold`; None where there is no such thing."""
        bounds = None if test is None else TimeBounds((valid or test)[0], test[0])
        bits, fault = cold or (None, "")
        return cls(starts, queries[-1], candidates[-1], bounds, bits, not any(fractions), (fault,) if fault else ())


def deal_known(rows: pa.Table, dataset: ShardedDataset) -> Iterator[tuple[str, object]]:
    """What is needed of rows whose ids are known.

    Yields:
        ("blocks", (block of queries, packed rows)), ("sizes", (block, number of rows)), where candidates are held out
        ("present", (block of candidates, their rows)), where a split asks for them ("times", (bucket, ValueCounts)),
        and ("fractions", True) where times are no whole numbers.
    """
    blocks = numbers(rows, "query_row") // dataset.queries_per_shard
    yield from (("blocks", own) for own in dealt(rows, blocks))
    for block, size in zip(*np.unique(blocks, return_counts=True), strict=True):
        yield "sizes", (int(block), int(size))
    log = dataset.schema.interactions
    if log.cold_candidates:
        present = np.unique(numbers(rows, "candidate_row"))
        for block, own in _by_block(present):
            yield "present", (block, own)
    if log.timestamp:
        times = numbers(rows, "timestamp")
        if not ((times == np.rint(times)) & (np.abs(times) < 2.0**53)).all():
            yield "fractions", True
        if log.path and log.split_or_default.method == "time":
            counted = ValueCounts.of(times)
            buckets, starts = np.unique(time_buckets(counted.values), return_index=True)
            for bucket, start, stop in zip(buckets, starts, np.append(starts, counted.values.size)[1:], strict=True):
                own = slice(start, stop)
                yield "times", (int(bucket), ValueCounts(counted.values[own], counted.counts[own]))


def look_up_candidates(
    partition: int, groups: Mapping[str, Iterable[bytes]], dataset: ShardedDataset
) -> Iterator[tuple[str, object]]:
    """Adds the candidates' rows.

    Args:
        partition: of candidates' ids.
        groups: "rows" of the log, and "ids" with their rows.
        dataset: what is prepared.

    Yields:
        ("rows", (partition of the query's id, packed rows)).
    """
    for rows in with_rows(groups["rows"], groups["ids"], "candidate"):
        for own in dealt(rows, partitions_of(column(rows, "query"), dataset.num_partitions)):
            yield "rows", own


def look_up_queries(
    partition: int, groups: Mapping[str, Iterable[bytes]], dataset: ShardedDataset
) -> Iterator[tuple[str, object]]:
    """Adds the queries' rows, and leaves out what has an unknown id; yields what `known_rows` and `deal_known` do."""
    for rows in with_rows(groups["rows"], groups["ids"], "query"):
        for tag, value in known_rows(rows, dataset):
            if tag == "known":
                yield from deal_known(value, dataset)
            else:
                yield tag, value


def draw_cold(present: Iterable[np.ndarray], num_candidates: int, fraction: float, seed: int) -> tuple[bytes, str]:
    """The candidates that are held out of training: those that `choose_cold` draws.

    Args:
        present: rows of candidates that have interactions, in any order.
        num_candidates: of the catalogue.
        fraction: of all candidates.
        seed: of the choice.

    Returns:
        A bit for each candidate, and why none can be drawn, or "".
    """
    counts = np.zeros(num_candidates, np.int64)
    for rows in present:
        counts[rows] = 1
    if not counts.any():
        return np.packbits(counts.astype(bool)).tobytes(), ""  # what is wrong then is said of the log
    try:
        return np.packbits(choose_cold(counts, fraction, seed)).tobytes(), ""
    except DataError as error:
        return b"", str(error)


def write_block(
    block: int, packed: Iterable[bytes], dataset: ShardedDataset, known: Known
) -> Iterator[tuple[str, object]]:
    """Parts the interactions of some queries and writes a shard of each part that has any.

    Args:
        block: of queries.
        packed: its rows, in any order.
        dataset: what is prepared.
        known: of the whole log.

    Yields:
        ("chosen", (block of candidates, Chosen)) and ("counts", DatasetCounts).
    """
    if known.faults:
        return
    rows = unpack(packed)
    keys = [numbers(rows, "place"), numbers(rows, "query_row")]
    if "timestamp" in rows.column_names:
        keys.insert(1, numbers(rows, "timestamp"))
    rows = rows.take(pa.array(np.lexsort(keys)))
    first = block * dataset.queries_per_shard
    parts = _parts(rows, block, first, dataset, known)
    if known.cold is not None:
        own = numbers(rows, "candidate_row")
        is_cold = np.frombuffer(known.cold, np.uint8)[own >> 3] >> (7 - (own & 7)) & 1  # as `packbits` has them
        parts[(parts != TEST) & (is_cold > 0)] = _LEFT_OUT
    num_blocks = -(-known.num_queries // dataset.queries_per_shard)
    for part, name in NAMES.items():
        mask = parts == part
        if mask.any():
            path = Path(dataset.to, shard_name(name, block, num_blocks))
            write_examples(path, _columns(rows.filter(pa.array(mask)), dataset, known))
    yield "counts", _counts(rows, parts, known)
    chosen = merged_chosen(_chosen(numbers(rows, "candidate_row")[parts == part], part) for part in NAMES)
    for number, own in _by_block(chosen[0]):
        yield "chosen", (number, (own, chosen[1][:, np.searchsorted(chosen[0], own)]))


def merged_chosen(parts: Iterable[Chosen]) -> Chosen:
    """How often candidates are chosen, all parts together."""
    parts = list(parts)
    rows, places = np.unique(np.concatenate([own for own, _ in parts]), return_inverse=True)
    counts = np.zeros((3, rows.size), np.int64)
    np.add.at(counts.T, places, np.concatenate([counts for _, counts in parts], axis=1).T)
    return rows, counts


def merged_rows(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Rows of candidates, each once."""
    return np.unique(np.concatenate(list(parts)))


def _parts(rows: pa.Table, block: int, first: int, dataset: ShardedDataset, known: Known) -> np.ndarray:
    log = dataset.schema.interactions
    if log.path is None:
        numbers_of = {name: part for part, name in NAMES.items()}
        of_file = np.array([numbers_of[part] for part, _ in dataset.log], np.uint8)
        return of_file[numbers(rows, "place") >> PLACE_BITS]
    count = min(dataset.queries_per_shard, known.num_queries - first)
    sizes = np.bincount(numbers(rows, "query_row") - first, minlength=count)
    times = numbers(rows, "timestamp") if log.timestamp else None
    own = Block(first, known.starts[block], sizes)
    return split_block(own, log.split_or_default, log.seed, known.num_queries, times, known.bounds)


def _columns(rows: pa.Table, dataset: ShardedDataset, known: Known) -> dict[str, np.ndarray | pa.Array]:
    found = {}
    for role, name in example_names(dataset.schema.interactions).items():
        values = column(rows, role)
        if role == "timestamp":
            times = numbers(rows, role)
            shown = times.astype(np.int64) if known.whole_times else pa.array([repr(time) for time in times.tolist()])
            found[name] = shown
        else:
            found[name] = values if pa.types.is_large_string(values.type) else numbers(rows, role)
    return found


def _counts(rows: pa.Table, parts: np.ndarray, known: Known) -> DatasetCounts:
    found = DatasetCounts()
    queries, candidates = numbers(rows, "query_row"), numbers(rows, "candidate_row")
    pairs = queries * known.num_candidates + candidates
    for part, name in NAMES.items():
        own = parts == part
        found.lengths[name] = ValueCounts.of(np.unique(queries[own], return_counts=True)[1])
        found.counts["rows", name] = int(np.count_nonzero(own))
        found.counts["duplicates", name] = int(np.count_nonzero(own) - np.unique(pairs[own]).size)
    found.counts["queries in train", ""] = int(np.unique(queries[(parts == TRAIN) | (parts == VALID)]).size)
    found.counts["seen in test", ""] = int(np.isin(pairs[parts == TEST], pairs[parts == TRAIN]).sum())
    if "rating" in rows.column_names:
        ratings = numbers(rows, "rating")[parts == TRAIN].astype(np.float64)
        ratings = ratings[np.isfinite(ratings)]
        found.counts["ratings", "count"] = int(ratings.size)
        found.counts["ratings", "sum"] = float(ratings.sum())
        found.counts["ratings", "squares"] = float(ratings @ ratings)
    return found


def _chosen(candidates: np.ndarray, part: int) -> Chosen:
    rows, own = np.unique(candidates, return_counts=True)
    counts = np.zeros((3, rows.size), np.int64)
    counts[part] = own
    return rows, counts


def _by_block(rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(block of candidates, its rows) of ascending rows."""
    for block in np.unique(rows // ROWS_PER_BLOCK).tolist():
        yield block, rows[rows // ROWS_PER_BLOCK == block]
