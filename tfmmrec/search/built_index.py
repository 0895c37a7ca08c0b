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


def build_index(
    settings: IndexSettings, arguments: tuple, queries: Callable[[], np.ndarray], seed: int = 0
) -> tuple[ExactIndex, dict[str, Any]]:
    """An index of the kind that was asked for.

    Args:
        settings: what was chosen.
        arguments: of `ExactIndex`.
        queries: gives vectors of real queries, float32 `[n, dim]`; called for an inverted file only.
        seed: of the cells' centres.

    Returns:
        The index, and what to say of it: its kind; of an inverted file also cells, probes, dtype, and the recall at 100
        (or at the number of candidates) of how many queries.

    Raises:
        UsageError: more cells than candidates, or what `ExactIndex` refuses.
    """
    ids, vectors = arguments[:2]
    if settings.kind == "exact" or (settings.kind == "auto" and len(ids) < IVF_FROM):
        return ExactIndex(*arguments), {"kind": "exact"}
    vectors = np.asarray(vectors, np.float32)
    centers = cell_centers(vectors, settings.cells or default_num_cells(len(ids)), seed)
    index = InvertedFileIndex(*arguments, cells=Cells(centers, settings.probes or 1, settings.dtype))
    asked = np.asarray(queries(), np.float32)
    asked = asked[np.isfinite(asked).all(axis=1) & asked.any(axis=1)]  # nothing is found for a vector of zeros
    probes, recall = choose_probes(index, asked, settings.recall, settings.probes)
    if settings.kind == "auto" and WIDEST * probes > len(centers):
        return ExactIndex(*arguments), {"kind": "exact"}
    measured = {"queries": len(asked)} | ({f"recall@{min(100, len(ids))}": round(recall, 4)} if len(asked) else {})
    return index, {"kind": "ivf", "cells": len(centers), "probes": probes, "dtype": settings.dtype, **measured}
