"""Linear autoencoders of interactions in closed form, whole and as two tables of factors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

_BLOCK = 1024


@dataclass(frozen=True)
class LinearFactors:
    """A linear autoencoder of low rank: a query's scores are (Σ_h reading_h) scoringᵀ over its history h.

    Attributes:
        reading: float32 `[num_candidates, rank]`, what a history sums up.
        scoring: float32 `[num_candidates, rank]`, orthonormal columns.
    """

    reading: np.ndarray
    scoring: np.ndarray


def linear_factors(
    chosen: sp.csr_matrix, rank: int, dropout: float = 0.5, l2: float = 1.0, exponent: float = 0.25
) -> LinearFactors:
    """EDLAE (Steck 2020, "Autoencoders that don't overfit towards the identity"), then the nearest of low rank.

    B = I − P / diag(P), P = (G + Λ)⁻¹, G = XᵀX, Λ = p / (1 − p) · diag(G) + λ · mean(diag(G)) · I: what a history's
    entries tell of each other when a share p of them is dropped, in closed form. The rows of X are the queries'
    choices, divided by their number ** `exponent`, so that those who chose much do not say it all. Of all matrices of
    the rank, B V Vᵀ is the one whose predictions X B V Vᵀ are nearest to X B, V the first eigenvectors of BᵀG B
    (reduced-rank regression, Izenman 1975).

    Takes 32 bytes for every pair of candidates; see `factors_bytes`.

    Args:
        chosen: `[num_queries, num_candidates]`, 1 where a query chose a candidate.
        rank: size of the factors; those beyond `num_candidates` are zero.
        dropout: p, in [0, 1).
        l2: λ.
        exponent: see above.
    """
    counts = np.maximum(np.diff(chosen.indptr), 1).astype(np.float64)
    gram = gram_matrix((sp.diags(counts**-exponent) @ chosen).tocsr())
    diagonal = gram.diagonal().copy()
    penalised = gram.copy()
    penalised[np.diag_indices(len(gram))] += dropout / (1.0 - dropout) * diagonal + l2 * max(diagonal.mean(), 1e-12)
    weights = zero_diagonal_weights(penalised)
    predicted = weights.T @ (gram @ weights)
    del gram
    size, kept = len(weights), min(rank, len(weights))
    _, vectors = scipy.linalg.eigh(predicted, subset_by_index=[size - kept, size - 1], overwrite_a=True)
    vectors = vectors[:, ::-1]
    # a direction's sign is arbitrary: the largest entry is made positive, so that every machine gives the same
    vectors = vectors * np.where(vectors[np.abs(vectors).argmax(axis=0), np.arange(kept)] < 0, -1.0, 1.0)
    empty = np.zeros((size, rank - kept), np.float32)
    return LinearFactors(
        np.hstack([(weights @ vectors).astype(np.float32), empty]), np.hstack([vectors.astype(np.float32), empty])
    )


def factors_bytes(num_candidates: int) -> int:
    """What `linear_factors` takes of the memory, in bytes."""
    return 32 * num_candidates**2


def gram_matrix(matrix: sp.csr_matrix) -> np.ndarray:
    """XᵀX of a sparse X `[num_queries, num_candidates]`, float64, by blocks of rows."""
    size = matrix.shape[1]
    gram = np.empty((size, size), np.float64)
    transposed = matrix.T.tocsr()
    for rows in blocks(size):
        gram[rows] = (transposed[rows] @ matrix).toarray()
    return gram


def zero_diagonal_weights(penalised: np.ndarray) -> np.ndarray:
    """B = I − P / diag(P), P the inverse: the regression of every column on the others (Steck 2019, eq. 8).

    Args:
        penalised: G + Λ, float64 `[n, n]`, positive definite; it is overwritten by the result.

    Raises:
        numpy.linalg.LinAlgError: it is not positive definite.
    """
    inverse = inverse_in_place(penalised)
    inverse /= -inverse.diagonal().copy()
    np.fill_diagonal(inverse, 0.0)
    return inverse


def inverse_in_place(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a symmetric positive definite matrix, in its own memory (Cholesky)."""
    columns = matrix.T  # LAPACK's order: no copy
    columns, failed = scipy.linalg.lapack.dpotrf(columns, lower=1, overwrite_a=1)
    if not failed:
        columns, failed = scipy.linalg.lapack.dpotri(columns, lower=1, overwrite_c=1)
    if failed:
        raise np.linalg.LinAlgError(f"the matrix is not positive definite at row {failed - 1}")
    for rows in blocks(len(columns)):  # only the lower triangle was computed
        columns[rows, rows.stop :] = columns[rows.stop :, rows].T
        lower = np.tril(columns[rows, rows])
        columns[rows, rows] = lower + np.tril(lower, -1).T
    return columns.T


def blocks(size: int) -> Iterator[slice]:
    """Slices of 1,024 rows."""
    return (slice(start, min(start + _BLOCK, size)) for start in range(0, size, _BLOCK))
