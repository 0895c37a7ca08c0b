"""Writes a log of interactions as Parquet while it is read, and its k-core afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfmmrec.data.ids import IdIndex
from tfmmrec.data.issues import Issues
from tfmmrec.data.k_core import k_core
from tfmmrec.data.raw_lines import count_broken
from tfmmrec.types import DataError

_GROUP_ROWS = 2**17


class InteractionsWriter:
    """Streams rows of (query, candidate, rating, time) into a file; memory holds the ids and some rows.

    Args:
        path: the Parquet file.
        query: what the column of query ids is called.
        candidate: what the column of candidate ids is called.
        issues: counts the rows that are broken.
        core: leave only the k-core; its codes cost 9 bytes an interaction, and `k_core` more while it works.
        min_rating: the k-core counts the interactions of at least this rating.
    """

    def __init__(
        self,
        path: Path,
        query: str,
        candidate: str,
        issues: Issues,
        core: int | None = None,
        min_rating: float | None = None,
    ):
        self.path = path
        self.names = (query, candidate)
        self.issues = issues
        self.core = core
        self.min_rating = -np.inf if min_rating is None else min_rating
        self.queries, self.candidates = IdIndex(), IdIndex()
        self.num_rows = self.num_positive = 0
        fields = [(query, pa.string()), (candidate, pa.string()), ("rating", pa.float32())]
        self.schema = pa.schema([*fields, ("timestamp", pa.timestamp("ms"))])
        self._file = pq.ParquetWriter(path, self.schema)
        self._pending: list[pa.RecordBatch] = []
        self._num_pending = 0
        self._codes: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(
        self,
        source: str,
        lines: np.ndarray,
        queries: pa.Array,
        candidates: pa.Array,
        ratings: np.ndarray,
        milliseconds: np.ndarray,
    ) -> None:
        """Takes some rows; those without an id, a rating or a time are counted and left out.

        Args:
            source: the file's name.
            lines: int64 `[rows]`, which line of it each row is.
            queries: ids, strings `[rows]`.
            candidates: ids, strings `[rows]`.
            ratings: `[rows]`.
            milliseconds: since 1970, `[rows]`.
        """
        ids = [pc.utf8_trim_whitespace(values.cast(pa.string())).fill_null("") for values in (queries, candidates)]
        good = np.isfinite(ratings) & (np.abs(np.nan_to_num(milliseconds, nan=np.inf)) < 2.0**53)
        for values in ids:
            good &= pc.not_equal(values, "").to_numpy(zero_copy_only=False)
        count_broken(self.issues, source, lines, ~good)
        kept = pa.array(good)
        times = pa.array(milliseconds[good].astype(np.int64)).cast(pa.timestamp("ms"))
        columns = [*(values.filter(kept) for values in ids), pa.array(ratings[good].astype(np.float32)), times]
        self._pending.append(pa.record_batch(columns, schema=self.schema))
        self._num_pending += len(times)
        if self._num_pending >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._num_pending:
            return
        table = pa.Table.from_batches(self._pending).combine_chunks()
        self._pending, self._num_pending = [], 0
        self._file.write_table(table)
        codes = []
        for name, index in zip(self.names, (self.queries, self.candidates), strict=True):
            coded = pc.dictionary_encode(table.column(name)).combine_chunks()
            rows = index.learn(coded.dictionary)
            codes.append(rows[coded.indices.to_numpy()])
        positive = table.column("rating").to_numpy() >= self.min_rating
        self.num_rows += len(table)
        self.num_positive += int(np.count_nonzero(positive))
        if self.core is not None:
            self._codes.append((*codes, positive))

    def finish(self) -> None:
        """Writes the rest, and leaves only the k-core where it was asked for.

        Raises:
            DataError: nothing is left.
        """
        self._flush()
        self._file.close()
        if self.num_rows and not self.num_positive:
            raise DataError(f"none of the {self.num_rows:,} ratings is at least {self.min_rating:g}; lower min_rating")
        if self.core is not None and self.num_rows:
            self._leave_core(self.core)

    def _leave_core(self, core: int) -> None:
        queries, candidates, positive = (np.concatenate(parts) for parts in zip(*self._codes, strict=True))
        self._codes = []
        stay = []
        found = k_core(queries[positive], candidates[positive], core)
        for index, kept in zip((self.queries, self.candidates), found, strict=True):
            stay.append(np.zeros(len(index), bool))
            stay[-1][: len(kept)] = kept
        rows = stay[0][queries] & stay[1][candidates]
        if not rows.any():
            raise DataError(f"nobody and nothing has {core} interactions with others that do; lower core")
        whole = self.path.with_suffix(".whole")
        self.path.rename(whole)
        with pq.ParquetFile(whole) as file, pq.ParquetWriter(self.path, self.schema) as smaller:
            start = 0
            for batch in file.iter_batches(_GROUP_ROWS):
                smaller.write_batch(batch.filter(pa.array(rows[start : start + len(batch)])))
                start += len(batch)
        whole.unlink()
        self.queries = IdIndex(self.queries.ids.filter(pa.array(stay[0])))
        self.candidates = IdIndex(self.candidates.ids.filter(pa.array(stay[1])))
        self.num_rows = int(np.count_nonzero(rows))
