"""Parquet files as record batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tfmmrec.types import DataError

_BATCH_ROWS = 2**17
_BUFFER_BYTES = 2**20


def column_names(path: Path, source: str) -> list[str]:
    """The file's columns."""
    with _open(path, source) as file:
        return file.schema_arrow.names


def record_batches(path: Path, source: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Streams some columns, page by page.

    Raises:
        DataError: not a Parquet file, or a damaged one.
    """
    with _open(path, source) as file:
        batches = file.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False)
        first = 1
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{source}, after row {first - 1}: the Parquet file is damaged: {error}") from None
            yield batch.select(list(columns))
            first += batch.num_rows


def _open(path: Path, source: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False, memory_map=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{source}: not a readable Parquet file: {error}") from None
