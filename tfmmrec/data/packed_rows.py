"""Rows as bytes that are sent from process to process, dealt out by a number that each row has."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

PLACE_BITS = 40
"""A row's place is `file << PLACE_BITS | row`, so that places are in the order of files and rows."""


ROWS_AT_ONCE = 2**20
"""As many rows as this are dealt out at once, where there are as many: a pack of few is mostly its description."""


def pack(rows: pa.RecordBatch | pa.Table) -> bytes:
    """Rows as bytes, in Arrow's own form."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write(rows)
    return sink.getvalue().to_pybytes()


def unpack(packed: Iterable[bytes]) -> pa.Table | None:
    """All rows of several packs, each column in one piece; None without any pack."""
    tables = [pa.ipc.open_stream(part).read_all() for part in packed]
    return pa.concat_tables(tables).combine_chunks() if tables else None


def gathered(packed: Iterable[bytes], rows_at_once: int = ROWS_AT_ONCE) -> Iterator[pa.Table]:
    """All rows of several packs, at least so many at once as long as there are as many."""
    pending, num_rows = [], 0
    for part in packed:
        pending.append(pa.ipc.open_stream(part).read_all())
        num_rows += len(pending[-1])
        if num_rows >= rows_at_once:
            yield pa.concat_tables(pending).combine_chunks()
            pending, num_rows = [], 0
    if pending:
        yield pa.concat_tables(pending).combine_chunks()


def column(table: pa.Table, name: str) -> pa.Array:
    """A column of a table as one array."""
    chunks = table.column(name).combine_chunks()
    return chunks if isinstance(chunks, pa.Array) else pa.concat_arrays(chunks.chunks)


def numbers(table: pa.Table, name: str) -> np.ndarray:
    """A column of numbers without null, `[rows]`."""
    return table.column(name).to_numpy()


def dealt(rows: pa.RecordBatch | pa.Table, keys: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """(key, packed rows with this key) for each different key; rows of one key stay in their order.

    Args:
        rows: what is dealt out.
        keys: int `[rows]`.
    """
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    rows = rows.take(pa.array(order))
    for key, start, stop in zip(found, starts, np.append(starts, len(keys))[1:], strict=True):
        yield int(key), pack(rows.slice(start, stop - start))


def partitions_of(ids: pa.Array, num_partitions: int) -> np.ndarray:
    """The partition of each id, the same in every process; int32 `[rows]`, null like an empty one."""
    coded = pc.dictionary_encode(ids.fill_null(""))
    own = [zlib.crc32(id.encode()) % num_partitions for id in coded.dictionary.to_pylist()]
    return np.array(own, np.int32)[coded.indices.to_numpy(zero_copy_only=False)]
