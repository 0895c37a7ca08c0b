"""From candidates to the index that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfmmrec.search.cell_centers import cell_centers, default_num_cells
from tfmmrec.search.cells import Cells
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.index_settings import IVF_FROM, IndexSettings
from tfmmrec.search.inverted_file import WIDEST, InvertedFileIndex
from tfmmrec.search.probes import choose_probes
from tfmmrec.search.scann_cells import LEAST_CANDIDATES, ScannCells
from tfmmrec.types import UsageError


def build_index(
    settings: IndexSettings, arguments: tuple, queries: Callable[[], np.ndarray], seed: int = 0
) -> tuple[ExactIndex, dict[str, Any]]:
    """An index of the kind that was asked for.

    Args:
        settings: what was chosen.
        arguments: of `ExactIndex`.
        queries: gives vectors of real queries, float32 `[n, dim]`; called for an approximate index only.
        seed: of the cells' centres; ScaNN has its own.

    Returns:
        The index, and what to say of it: its kind; of others than exact also cells, probes, dtype (of ivf), and the
        recall at 100 (or at the number of candidates) of how many queries.

    Raises:
        UsageError: more cells than candidates, too few candidates for scann, or what `ExactIndex` refuses.
    """
    ids, vectors = arguments[:2]
    if settings.kind == "exact" or (settings.kind == "auto" and len(ids) < IVF_FROM):
        return ExactIndex(*arguments), {"kind": "exact"}
    cells = _cells(settings, np.asarray(vectors, np.float32), seed)
    index = InvertedFileIndex(*arguments, cells=cells)
    asked = np.asarray(queries(), np.float32)
    asked = asked[np.isfinite(asked).all(axis=1) & asked.any(axis=1)]  # nothing is found for a vector of zeros
    probes, recall = choose_probes(index, asked, settings.recall, settings.probes)
    if settings.kind == "auto" and WIDEST * probes > cells.num_cells:
        return ExactIndex(*arguments), {"kind": "exact"}
    measured = {"queries": len(asked)} | ({f"recall@{min(100, len(ids))}": round(recall, 4)} if len(asked) else {})
    own = {"kind": "scann"} if settings.kind == "scann" else {"kind": "ivf", "dtype": settings.dtype}
    return index, own | {"cells": cells.num_cells, "probes": probes, **measured}


def _cells(settings: IndexSettings, vectors: np.ndarray, seed: int) -> Cells | ScannCells:
    num_cells = settings.cells or default_num_cells(len(vectors))
    if settings.kind != "scann":
        return Cells(cell_centers(vectors, num_cells, seed), settings.probes or 1, settings.dtype)
    if not num_cells <= len(vectors) >= LEAST_CANDIDATES:
        raise UsageError(
            f"an index of kind scann needs at least {LEAST_CANDIDATES} candidates, and no more cells than there are "
            f"candidates, got {len(vectors)} candidates and {num_cells} cells; choose exact"
        )
    return ScannCells(num_cells, settings.probes or 1)
