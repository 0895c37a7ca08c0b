"""Ids and their rows where no process sees all of them: numbered in the order of their first places.

Ids are dealt out twice: by their hash, where whoever stands there twice is found, and by where they stand first, in
stretches of places. A stretch's first number is how many ids the stretches before it have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmmrec.data.packed_rows import PLACE_BITS, column, dealt, gathered, numbers, partitions_of, unpack

_STRETCH_BITS = 16


def placed_ids(ids: pa.Array, places: np.ndarray) -> pa.RecordBatch:
    """Ids and where they stand, int64 `[ids]`: what is numbered."""
    return pa.record_batch({"id": ids.cast(pa.large_string()), "place": pa.array(places, pa.int64())})


def by_hash(rows: pa.RecordBatch, num_partitions: int) -> Iterator[tuple[int, bytes]]:
    """Deals rows with a column `id` out, so that one process gets all rows of an id."""
    yield from dealt(rows, partitions_of(rows.column("id"), num_partitions))


def first_places(packed: Iterable[bytes], distinct: bool) -> Iterator[tuple[str, tuple]]:
    """Each id once, where it stands first.

    Args:
        packed: all that there is of some ids.
        distinct: they should stand there once.

    Yields:
        ("stretch", (stretch, packed ids and places)), and for an id that stands there again though it should not
        ("again", (id, place, first place)).
    """
    table = unpack(packed)
    ids, places = column(table, "id"), numbers(table, "place")
    codes = ids.dictionary_encode().indices.to_numpy()
    order = np.lexsort((places, codes))
    codes = codes[order]
    is_first = np.diff(codes, prepend=-1) != 0
    if distinct:
        firsts = places[order][np.maximum.accumulate(np.where(is_first, np.arange(codes.size), 0))]
        for at in np.flatnonzero(~is_first):
            yield "again", (ids[int(order[at])].as_py(), int(places[order[at]]), int(firsts[at]))
    first = table.take(pa.array(order[is_first]))
    for stretch, rows in dealt(first, numbers(first, "place") >> _STRETCH_BITS):
        yield "stretch", (stretch, rows)


def num_packed(packed: bytes) -> int:
    """How many rows a pack has."""
    return len(unpack([packed]))


def starts_of(sizes: Mapping[int, int]) -> dict[int, int]:
    """How many lie before each key, in the order of keys; under the key -1 how many there are of all."""
    keys = sorted(sizes)
    ends = np.cumsum([sizes[key] for key in keys], dtype=np.int64).tolist()
    return dict(zip(keys, [0, *ends[:-1]], strict=False)) | {-1: ends[-1] if ends else 0}


def numbered(
    stretch: int, packed: Iterable[bytes], starts: Mapping[int, int], num_partitions: int, rows_per_block: int
) -> Iterator[tuple[str, tuple[int, bytes]]]:
    """The rows of the ids of one stretch.

    Yields:
        ("by_hash", (partition, packed ids and rows)) and ("by_row", (block, packed ids and rows)).
    """
    table = unpack(packed)
    ids = column(table, "id").take(pc.sort_indices(column(table, "place")))
    rows = starts[stretch] + np.arange(len(ids))
    batch = pa.record_batch({"id": ids, "row": pa.array(rows, pa.int64())})
    for partition, part in by_hash(batch, num_partitions):
        yield "by_hash", (partition, part)
    for block, part in dealt(batch, rows // rows_per_block):
        yield "by_row", (block, part)


def with_rows(packed: Iterable[bytes], known: Iterable[bytes], side: str) -> Iterator[pa.Table]:
    """Rows of a log with the rows of one side's ids beside them, -1 where an id is unknown.

    Args:
        packed: rows with a column named like the side.
        known: ids and rows of the same partition.
        side: "query" or "candidate"; the column `SIDE_row`, int64, is added.
    """
    table = unpack(known)
    for found in gathered(packed):
        if table is None:
            rows = np.full(len(found), -1)
        else:
            places = pc.index_in(column(found, side), value_set=column(table, "id")).fill_null(-1).to_numpy()
            rows = np.where(places >= 0, numbers(table, "row")[places], -1)
        yield found.append_column(f"{side}_row", pa.array(rows, pa.int64()))


def range_ids(start: int, stop: int) -> pa.RecordBatch:
    """The ids "start" to "stop - 1", each at the place of its number."""
    rows = np.arange(start, stop, dtype=np.int64)
    return placed_ids(pa.array(rows).cast(pa.large_string()), rows)


def place_of(file: int, row: int) -> int:
    """The place of a row of a file."""
    return file << PLACE_BITS | row


def file_and_row(place: int) -> tuple[int, int]:
    """Where a place is."""
    return place >> PLACE_BITS, place & (1 << PLACE_BITS) - 1


def ids_in_order(packed: Iterable[bytes]) -> pa.Array:
    """The ids of a block by their rows."""
    table = unpack(packed)
    return column(table, "id").take(pc.sort_indices(column(table, "row")))
