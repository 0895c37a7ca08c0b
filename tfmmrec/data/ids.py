"""From ids to rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class IdIndex:
    """Distinct strings in the order of their rows.

    Args:
        ids: the known strings, distinct, without null.
        fixed: the ids are those of a table, and no other will be added.
        source: the table they come from, for messages.
    """

    def __init__(self, ids: pa.Array | None = None, fixed: bool = False, source: str = ""):
        self.ids = pa.array([], pa.string()) if ids is None else ids.cast(pa.string())
        self.fixed = fixed
        self.source = source

    def __len__(self) -> int:
        return len(self.ids)

    def rows_of(self, values: pa.Array) -> np.ndarray:
        """The rows of some strings, int32, -1 for unknown ones and null."""
        rows = pc.index_in(values.cast(pa.string()), value_set=self.ids, skip_nulls=True)
        return rows.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)

    def learn(self, values: pa.Array) -> np.ndarray:
        """The rows of some distinct strings, int32; unknown ones are added unless the ids are fixed."""
        rows = self.rows_of(values)
        if not self.fixed:
            new = rows < 0
            if new.any():
                added = values.filter(pa.array(new)).cast(pa.string())
                rows[new] = np.arange(len(self), len(self) + len(added), dtype=np.int32)
                self.ids = pa.concat_arrays([self.ids, added])
        return rows


def first_duplicate(ids: pa.Array) -> tuple[int, int] | None:
    """The rows of the first id that stands there twice, None when all are distinct."""
    codes = ids.dictionary_encode()
    if len(codes.dictionary) == len(ids):
        return None
    numbers = codes.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(numbers, kind="stable")
    again = order[1:][np.diff(numbers[order]) == 0]
    second = int(again.min())
    return int(np.flatnonzero(numbers == numbers[second])[0]), second
