"""Writes a table of candidates or queries as Parquet: one row for each id that the interactions have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfmmrec.data.ids import IdIndex
from tfmmrec.data.issues import Issues

_GROUP_ROWS = 2**16


class EntitiesWriter:
    """Takes what is known of some ids, in any order, and writes each wanted id once.

    Of an id that stands there twice the first row counts; an id without a row gets one with nothing in it; what no
    interaction names is left out. All three are counted.

    Args:
        path: the Parquet file.
        id_column: what its id column is called.
        fields: the other columns and their types.
        wanted: the ids of the interactions.
        issues: where it is counted.
    """

    def __init__(self, path: Path, id_column: str, fields: Mapping[str, pa.DataType], wanted: IdIndex, issues: Issues):
        self.path = path
        self.wanted = wanted
        self.issues = issues
        self.schema = pa.schema([(id_column, pa.string()), *fields.items()])
        self.filled = dict.fromkeys(fields, 0)
        self.num_described = 0
        self._seen = np.zeros(len(wanted), bool)
        self._file = pq.ParquetWriter(path, self.schema)

    def choose(self, source: str, ids: Sequence[str | None]) -> np.ndarray:
        """Which rows of some are to be added: bool `[rows]`, those whose id is wanted and new."""
        rows = self.wanted.rows_of(pa.array(ids, pa.string()))
        known = np.flatnonzero(rows >= 0)
        _, first = np.unique(rows[known], return_index=True)
        new = np.zeros(len(rows), bool)
        new[known[first]] = True
        new[known] &= ~self._seen[rows[known]]
        self._count("nobody chose it, left out", source, ids, rows < 0)
        self._count("stands there twice, the first one counts", source, ids, (rows >= 0) & ~new)
        self._seen[rows[new]] = True
        return new

    def add(self, columns: Mapping[str, Sequence]) -> None:
        """Writes rows that were chosen: the id column and the others, values in the order of the rows."""
        batch = pa.record_batch([pa.array(columns[field.name], field.type) for field in self.schema], self.schema)
        for name in self.filled:
            self.filled[name] += len(batch) - batch.column(name).null_count
        self.num_described += len(batch)
        self._file.write_batch(batch)

    def finish(self) -> None:
        """Writes the rows of which only the id is known."""
        bare = self.wanted.ids.filter(pa.array(~self._seen))
        self._count("nothing is known of it but its id", self.path.name, bare, np.ones(len(bare), bool))
        for start in range(0, len(bare), _GROUP_ROWS):
            ids = bare.slice(start, _GROUP_ROWS)
            rest = [pa.nulls(len(ids), field.type) for field in list(self.schema)[1:]]
            self._file.write_batch(pa.record_batch([ids, *rest], self.schema))
        self._file.close()

    def _count(self, kind: str, where: str, ids, rows: np.ndarray) -> None:
        if rows.any():
            first = ids[int(rows.argmax())]
            example = first.as_py() if isinstance(first, pa.Scalar) else first
            self.issues.add(kind, where, int(np.count_nonzero(rows)), repr(example))
