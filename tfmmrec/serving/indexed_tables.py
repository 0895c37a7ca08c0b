"""What the index of a loaded export holds of each candidate, whatever Python class made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TABLES = ("vectors", "history_vectors", "parts")
"""What `embed_candidate` makes of a candidate, in the order in which an index takes them."""


def indexed_tables(index: Any, ids: Sequence[str]) -> dict[str, np.ndarray]:
    """The tables that an index has, by the names in `TABLES`, float32 `[len(ids), dim]`.

    Args:
        index: of a loaded export.
        ids: all candidates, in the order of `candidates.parquet`.
    """
    rows = _rows(index, ids)
    found = {"vectors": getattr(index, "vectors", None), "parts": getattr(index, "parts", None)}
    found |= dict(getattr(index, "tables", None) or {})
    return {name: found[name].numpy()[rows] for name in TABLES if found.get(name) is not None}


def indexed_popularity(index: Any, ids: Sequence[str]) -> np.ndarray:
    """How popular the candidates are, float32 `[len(ids)]`; arguments as of `indexed_tables`."""
    return index.popularity.numpy()[_rows(index, ids)]


def _rows(index: Any, ids: Sequence[str]) -> np.ndarray:
    if not hasattr(index, "ids"):  # the parts of a ranking model alone stand in the order of the ids
        return np.arange(len(ids))
    own = pa.array(index.ids.numpy().tolist(), pa.binary())
    return pc.index_in(pa.array([id.encode() for id in ids], pa.binary()), value_set=own).to_numpy()
