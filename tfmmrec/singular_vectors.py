"""The largest singular vectors of a sparse matrix, also where many are about equally large."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse
import scipy.sparse.linalg


def largest_singular_vectors(
    matrix: scipy.sparse.spmatrix, rank: int, start: np.ndarray, tolerances: Sequence[float] = (1e-7, 1e-2)
) -> tuple[np.ndarray, np.ndarray]:
    """Lanczos iteration (ARPACK, `scipy.sparse.linalg.svds`), as accurate as it gets.

    Where the rows have hardly anything in common many directions are about equally good, among which the iteration
    finds no end; then any of them will do, and the next tolerance is tried.

    Args:
        matrix: float64 `[rows, columns]`.
        rank: how many are wanted, below both of its sides.
        start: of the iteration, `[min(rows, columns)]`.
        tolerances: relative, of the singular values, the strictest first; 0 is as far as float64 goes.

    Returns:
        The values `[rank]`, the largest first, and the right vectors `[rank, columns]`.

    Raises:
        ArpackNoConvergence: by none of the tolerances.
    """
    for tolerance in tolerances:
        try:
            _, values, right = scipy.sparse.linalg.svds(matrix, k=rank, v0=start, tol=tolerance)
            break
        except scipy.sparse.linalg.ArpackNoConvergence:
            if tolerance == tolerances[-1]:
                raise
    order = np.argsort(-values)
    return values[order], right[order]
