"""One catalogue out of the one that was and a table of new or changed candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmmrec.serving.contents import Contents, joined


@dataclass(frozen=True)
class Merge:
    """Where each candidate of the merged catalogue comes from: the old ones that stay in their order, then new ones.

    Attributes:
        old_rows: int `[n]`, in the old catalogue, -1 for a new candidate.
        new_rows: int `[n]`, in the table, -1 for one that it does not have.
    """

    old_rows: np.ndarray
    new_rows: np.ndarray

    def __len__(self) -> int:
        return len(self.old_rows)

    def taken(self, old: pa.Array | pa.ChunkedArray, new: pa.Array | pa.ChunkedArray) -> pa.Array:
        """A column: of the table where that has the candidate."""
        both = joined([old, new])
        return both.take(pa.array(np.where(self.new_rows >= 0, len(old) + self.new_rows, self.old_rows)))

    def filled(self, old: np.ndarray, new: np.ndarray, new_rows: np.ndarray) -> np.ndarray:
        """Arrays `[any, ...]` -> `[n, ...]`.

        Args:
            old: of the old catalogue.
            new: others.
            new_rows: int `[n]`, rows of `new`; -1 where the old one counts.
        """
        made = np.empty([len(self), *old.shape[1:]], old.dtype)
        made[new_rows < 0] = old[self.old_rows[new_rows < 0]]
        made[new_rows >= 0] = new[new_rows[new_rows >= 0]]
        return made


def merge(old_ids: Sequence[str], removed: Sequence[str], new_ids: Sequence[str]) -> Merge:
    """The merged catalogue.

    Args:
        old_ids: `[n]`, different.
        removed: of these, which go; others are no matter.
        new_ids: of the table, different and none of the removed.
    """
    old, new = (pa.array(list(ids), pa.string()) for ids in (old_ids, new_ids))
    gone = pc.is_in(old, value_set=pa.array(list(removed), pa.string())).to_numpy(zero_copy_only=False)
    kept = np.flatnonzero(~gone)
    given = _rows_of(old, new)[kept]
    added = np.flatnonzero(_rows_of(new, old) < 0)
    old_rows = np.concatenate([kept, np.full(added.size, -1)]).astype(np.int64)
    return Merge(old_rows, np.concatenate([given, added]).astype(np.int64))


def merged_contents(merged: Merge, old: Contents, new: Contents) -> Contents:
    """The contents of the merged catalogue."""
    columns = {
        name: merged.taken(pa.array(getattr(old, name), kind), pa.array(getattr(new, name), kind)).to_pylist()
        for name, kind in (("ids", pa.large_string()), ("digests", pa.large_binary()))
    }
    filters = {name: merged.taken(column, new.filters[name]) for name, column in old.filters.items()}
    return Contents(**columns, filters=filters, looked_at=old.looked_at)


def _rows_of(ids: pa.Array, among: pa.Array) -> np.ndarray:
    return pc.index_in(ids, value_set=among).fill_null(-1).to_numpy(zero_copy_only=False)
