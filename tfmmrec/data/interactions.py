"""The log of who chose what, as compressed sparse rows: 4 bytes an interaction, on disk when it is large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from tfmmrec.data.storage import allocate, release

BLOCK_ROWS = 2**18


@dataclass
class Interactions:
    """Query -> candidates.

    Attributes:
        indptr: int64 `[num_queries + 1]`; the rows of query q are `indptr[q]:indptr[q + 1]`.
        indices: int32 `[num_rows]`, candidate rows; within a query in time order when there is a timestamp,
            else in the order of the file.
        columns: arrays `[num_rows]` aligned with `indices`: "timestamp" float64 (seconds, or the number that
            stood there), "rating" float32, "weight" float32, and the context features by name: float32 for a
            number, int32 codes for all others.
        num_candidates: rows of the catalogue.
        vocabularies: context feature -> its values by code; -1 is a missing value.
    """

    indptr: np.ndarray
    indices: np.ndarray
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    num_candidates: int = 0
    vocabularies: dict[str, pa.Array] = field(default_factory=dict)

    @property
    def num_queries(self) -> int:
        return len(self.indptr) - 1

    @property
    def num_rows(self) -> int:
        return len(self.indices)

    def candidates_of(self, query_row: int) -> np.ndarray:
        """The candidate rows of one query, int32."""
        return self.indices[self.indptr[query_row] : self.indptr[query_row + 1]]

    def query_rows(self) -> np.ndarray:
        """The query of each row, int32 `[num_rows]`; made when asked for."""
        return np.repeat(np.arange(self.num_queries, dtype=np.int32), np.diff(self.indptr))

    def counts(self) -> np.ndarray:
        """How often each candidate was chosen, int64 `[num_candidates]`."""
        counts = np.zeros(self.num_candidates, np.int64)
        for start in range(0, self.num_rows, BLOCK_ROWS):
            counts += np.bincount(self.indices[start : start + BLOCK_ROWS], minlength=self.num_candidates)
            release(self.indices)
        return counts

    def matrix(self) -> sp.csr_matrix:
        """1 where a query chose a candidate, float32 `[num_queries, num_candidates]`."""
        ones = np.ones(self.num_rows, np.float32)
        matrix = sp.csr_matrix(
            (ones, np.array(self.indices), self.indptr), shape=(self.num_queries, self.num_candidates)
        )
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        return matrix

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Consecutive (queries, rows) of about `BLOCK_ROWS` rows; no query is cut in two."""
        first = 0
        while first < self.num_queries:
            last = int(np.searchsorted(self.indptr, self.indptr[first] + BLOCK_ROWS, side="right")) - 1
            last = min(max(last, first + 1), self.num_queries)
            yield slice(first, last), slice(int(self.indptr[first]), int(self.indptr[last]))
            first = last

    def select(self, mask: np.ndarray) -> Interactions:
        """The rows where `mask`, bool `[num_rows]`, is true; same queries, same candidates, same order."""
        mask = np.asarray(mask)
        if mask.dtype != bool or mask.shape != (self.num_rows,):
            raise ValueError(f"mask must be bool [{self.num_rows}], got {mask.dtype} {list(mask.shape)}")
        counts = np.zeros(self.num_queries, np.int64)
        for queries, rows in self.blocks():
            sums = np.concatenate([[0], np.cumsum(mask[rows])])
            bounds = self.indptr[queries.start : queries.stop + 1] - self.indptr[queries.start]
            counts[queries] = np.diff(sums[bounds])
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        sources = {"": self.indices, **self.columns}
        parts = {name: allocate(int(indptr[-1]), array.dtype) for name, array in sources.items()}
        done = 0
        for start in range(0, self.num_rows, BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            count = int(np.count_nonzero(mask[rows]))
            for name, array in sources.items():
                parts[name][done : done + count] = array[rows][mask[rows]]
            done += count
            release(*sources.values(), *parts.values())
        return Interactions(indptr, parts.pop(""), parts, self.num_candidates, self.vocabularies)
