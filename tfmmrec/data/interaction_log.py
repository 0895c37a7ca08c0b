"""Streams a log of interactions into compressed sparse rows without ever holding it.

Each batch of rows is mapped to int32 rows and spooled to temporary files; then the spool is counted and dealt
out, query by query (a counting sort, so the order within a query is the file's).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmmrec.data import columns
from tfmmrec.data.ids import IdIndex
from tfmmrec.data.interactions import BLOCK_ROWS, Interactions
from tfmmrec.data.issues import Issues
from tfmmrec.data.readers import Rows, Table, check_columns
from tfmmrec.data.storage import allocate, release
from tfmmrec.schema import InteractionsSchema
from tfmmrec.types import DataError

_COMPARE = {
    ">=": np.greater_equal,
    "<=": np.less_equal,
    ">": np.greater,
    "<": np.less,
    "==": np.equal,
    "!=": np.not_equal,
}


class InteractionLog:
    """One part of the log (train, valid, test, or all of it).

    Args:
        schema: its description.
        queries: the known query ids; grows unless fixed.
        candidates: the known candidate ids; grows unless fixed.
        vocabularies: context feature -> its known values; they grow and are shared by all parts.
        issues: counts what is survived.
        folder: where temporary files lie.
    """

    def __init__(
        self,
        schema: InteractionsSchema,
        queries: IdIndex,
        candidates: IdIndex,
        vocabularies: dict[str, IdIndex],
        issues: Issues,
        folder: Path | None = None,
    ):
        self.schema = schema
        self.queries = queries
        self.candidates = candidates
        self.vocabularies = vocabularies
        self.issues = issues
        self.folder = folder
        self.num_read = self.num_positive = self.num_kept = 0
        self.counts = np.zeros(0, np.int64)
        self.spools = {name: self._spool() for name in ("query", "candidate")}
        self.dtypes = {"query": np.dtype(np.int32), "candidate": np.dtype(np.int32)}
        self._example = ""

    def _spool(self):
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(prefix="tfmmrec-", dir=self.folder)

    def read(self, table: Table) -> InteractionLog:
        """Spools all rows of a table.

        Raises:
            DataError: a missing column, a wrong type, no rows, none that is positive or known.
        """
        schema = self.schema
        rule = schema.positive_rule
        extra = [schema.timestamp, schema.rating, schema.weight, rule[0] if rule else None]
        extra += [feature.column or name for name, feature in schema.features.items()]
        wanted = list(dict.fromkeys([schema.query, schema.candidate, *(name for name in extra if name)]))
        check_columns(table.column_names(), wanted, table.name)
        for rows in table.rows(wanted):
            self.num_read += len(rows)
            self._add(rows)
        self._check(table.name)
        return self

    def _add(self, rows: Rows) -> None:
        keep = self._positive(rows)
        query_codes, queries = coded_ids(rows, self.schema.query)
        candidate_codes, candidates = coded_ids(rows, self.schema.candidate)
        keep &= self._count_missing(rows, keep, query_codes, self.schema.query)
        keep &= self._count_missing(rows, keep, candidate_codes, self.schema.candidate)
        query_rows = self._rows(rows, keep, query_codes, queries, self.queries, "query")
        candidate_rows = self._rows(rows, keep, candidate_codes, candidates, self.candidates, "candidate")
        keep &= (query_rows >= 0) & (candidate_rows >= 0)
        values = {"query": query_rows, "candidate": candidate_rows, **self._columns(rows)}
        for name, array in values.items():
            if name not in self.spools:
                self.spools[name], self.dtypes[name] = self._spool(), array.dtype
            self.spools[name].write(np.ascontiguousarray(array[keep]).data)
        counts = np.bincount(query_rows[keep], minlength=len(self.counts))
        counts[: len(self.counts)] += self.counts
        self.counts = counts
        self.num_kept += int(np.count_nonzero(keep))

    def _positive(self, rows: Rows) -> np.ndarray:
        if self.schema.positive_rule is None:
            self.num_positive += len(rows)
            return np.ones(len(rows), bool)
        column, operator, number = self.schema.positive_rule
        values, _ = columns.to_numbers(rows, column)
        unknown = np.isnan(values)
        where = f"{rows.source}, column {column!r}"
        self.issues.add("interaction without a number to judge it by", where, *_count(rows, unknown))
        positive = _COMPARE[operator](values, number) & ~unknown
        self.num_positive += int(np.count_nonzero(positive))
        return positive

    def _count_missing(self, rows: Rows, keep: np.ndarray, codes: np.ndarray, column: str) -> np.ndarray:
        where = f"{rows.source}, column {column!r}"
        self.issues.add("interaction without an id", where, *_count(rows, keep & (codes < 0)))
        return codes >= 0

    def _rows(self, rows, keep, codes, values: pa.Array, index: IdIndex, side: str) -> np.ndarray:
        """Each row's place in the index, -1 where unknown or not kept; counts the unknown."""
        used = np.bincount(codes[keep], minlength=len(values)) > 0
        places = np.full(len(values) + 1, -1, np.int32)  # the last one is for code -1
        places[:-1][used] = index.learn(values.filter(pa.array(used)))
        found = np.where(keep, places[codes], -1).astype(np.int32)
        unknown = keep & (found < 0)
        if unknown.any():
            row = int(unknown.argmax())
            example = f"{rows.place(row)}: {values[int(codes[row])].as_py()!r}"
            self._example = self._example or f"{example} has no row in {index.source}"
            where = f"{rows.source}, no row in {index.source}"
            self.issues.add(f"unknown {side} id", where, int(np.count_nonzero(unknown)), example)
        return found

    def _columns(self, rows: Rows) -> dict[str, np.ndarray]:
        """The extra columns by their name in `Interactions.columns`."""
        schema, found = self.schema, {}
        if schema.timestamp:
            found["timestamp"] = columns.to_times(rows, schema.timestamp)
        if schema.rating:
            found["rating"] = self._number(rows, schema.rating)
        if schema.weight:
            found["weight"] = self._weight(rows, schema.weight)
        for name, feature in schema.features.items():
            column = feature.column or name
            if feature.kind == "number":
                found[name] = self._number(rows, column)
            else:
                found[name] = self._codes(rows, name, column)
        return found

    def _number(self, rows: Rows, column: str) -> np.ndarray:
        numbers, infinite = columns.to_numbers(rows, column)
        where = f"{rows.source}, column {column!r}"
        self.issues.add("infinite number, taken as missing", where, *_count(rows, infinite))
        return numbers.astype(np.float32)

    def _weight(self, rows: Rows, column: str) -> np.ndarray:
        weights = self._number(rows, column)
        negative = np.flatnonzero(weights < 0)
        if negative.size:
            row = int(negative[0])
            raise DataError(f"{rows.place(row, column)}: a weight must not be negative, found {weights[row]:g}")
        missing = np.isnan(weights)
        where = f"{rows.source}, column {column!r}"
        self.issues.add("interaction without a weight, taken as 1", where, *_count(rows, missing))
        return np.where(missing, np.float32(1), weights)

    def _codes(self, rows: Rows, name: str, column: str) -> np.ndarray:
        values = columns.to_strings(rows, column)
        if pa.types.is_large_list(values.type):
            raise DataError(f"{rows.place(0, column)}: an interaction's feature has one value a row, found lists")
        coded = values.dictionary_encode()
        codes = self.vocabularies.setdefault(name, IdIndex()).learn(coded.dictionary)
        places = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return np.append(codes, np.int32(-1))[places].astype(np.int32)

    def _check(self, source: str) -> None:
        if not self.num_read:
            raise DataError(f"{source}: no interactions; expected at least one row below the header")
        if not self.num_positive:
            raise DataError(f"{source}: none of the {self.num_read} interactions satisfies {self.schema.positive!r}")
        if not self.num_kept:
            raise DataError(
                f"{source}: none of the {self.num_positive} interactions has both its ids in the tables"
                + (f"; {self._example}" if self._example else "")
                + "; check that both name things by the same ids (leading zeros, prefixes, a decimal point)"
            )

    def finish(self) -> Interactions:
        """The spooled rows as `Interactions`; the temporary files are closed."""
        num_queries = len(self.queries)
        counts = np.zeros(num_queries, np.int64)
        counts[: len(self.counts)] = self.counts
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        names = [name for name in self.spools if name != "query"]
        arrays = {name: allocate(self.num_kept, self.dtypes[name], self.folder) for name in names}
        ends = indptr[:-1].copy()  # where the next row of each query goes
        for chunk in self._chunks():
            order = np.argsort(chunk["query"], kind="stable")
            queries, first, sizes = np.unique(chunk["query"][order], return_index=True, return_counts=True)
            within = np.arange(order.size) - np.repeat(first, sizes)
            places = np.repeat(ends[queries], sizes) + within
            ends[queries] += sizes
            for name, array in arrays.items():
                _scatter(array, places, chunk[name][order])
        for spool in self.spools.values():
            spool.close()
        vocabularies = {name: index.ids for name, index in self.vocabularies.items()}
        indices = arrays.pop("candidate")
        log = Interactions(indptr, indices, arrays, len(self.candidates), vocabularies)
        if "timestamp" in arrays:
            _sort_by_time(log)
        return log

    def _chunks(self) -> Iterator[dict[str, np.ndarray]]:
        for spool in self.spools.values():
            spool.seek(0)
        for _ in range(0, self.num_kept, BLOCK_ROWS):
            yield {
                name: np.frombuffer(spool.read(BLOCK_ROWS * self.dtypes[name].itemsize), self.dtypes[name])
                for name, spool in self.spools.items()
            }


def coded_ids(rows: Rows, column: str) -> tuple[np.ndarray, pa.Array]:
    """A column of ids as codes int64 `[rows]` (-1 = none) and the different ids."""
    coded = pc.dictionary_encode(columns.to_ids(rows, column))
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    return coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), coded.dictionary


def _count(rows: Rows, mask: np.ndarray) -> tuple[int, str]:
    """How many rows, and the first one's place."""
    return int(np.count_nonzero(mask)), rows.place(int(mask.argmax()))


def _scatter(array: np.ndarray, places: np.ndarray, values: np.ndarray) -> None:
    """`array[places] = values` for ascending places all over a mapped array, an eighth of it at a time."""
    step = -(-places.size // 8)
    for start in range(0, places.size, step):
        part = slice(start, start + step)
        array[places[part]] = values[part]
        release(array)


def _sort_by_time(log: Interactions) -> None:
    """Puts each query's rows in time order; equal times stay in the order of the file."""
    times = log.columns["timestamp"]
    for queries, rows in log.blocks():
        sizes = np.diff(log.indptr[queries.start : queries.stop + 1])
        owner = np.repeat(np.arange(sizes.size), sizes)
        order = np.lexsort((times[rows], owner))
        for array in (log.indices, *log.columns.values()):
            array[rows] = array[rows][order]
        release(log.indices, *log.columns.values())
