"""Where the cells of an inverted file lie: k-means over a sample of the candidates' vectors."""

from __future__ import annotations

import numpy as np

from tfmmrec.types import UsageError

SAMPLE_OF_A_CELL = 64
_ROWS_AT_ONCE = 16384


def default_num_cells(num_candidates: int) -> int:
    """Twice the root of the number of candidates.

    With so many a query reads a third to four fifths of the rows that it reads with half as many
    (`benchmarks/cells.py`); with twice as many it reads fewer still, but the centres take four times as long to find.
    """
    return max(1, min(num_candidates, round(2 * num_candidates**0.5)))


def cell_centers(vectors: np.ndarray, num_cells: int, seed: int = 0, num_rounds: int = 10) -> np.ndarray:
    """Lloyd's k-means. A cell that nothing belongs to is moved beside the centre of the largest one, which it splits.

    Args:
        vectors: float32 `[n, dim]`; of more than 64 for each cell a sample is taken.
        num_cells: at least 1 and at most `n`.
        seed: of the sample and of where the centres begin.
        num_rounds: how often they are moved.

    Returns:
        Float32 `[num_cells, dim]`.

    Raises:
        UsageError: fewer than one cell, or more cells than vectors.
    """
    if not 1 <= num_cells <= len(vectors):
        raise UsageError(f"an index of {len(vectors)} candidates can have 1 to {len(vectors)} cells, got {num_cells}")
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(vectors))[: SAMPLE_OF_A_CELL * num_cells]
    sample = np.asarray(vectors[np.sort(chosen)], np.float32)
    centers = sample[random.permutation(len(sample))[:num_cells]]
    spread = sample.std(axis=0)
    for _ in range(num_rounds):
        cells = nearest_centers(sample, centers)
        sizes = np.bincount(cells, minlength=num_cells)
        sums = np.zeros([num_cells, sample.shape[1]])
        owners = np.flatnonzero(sizes)
        order = np.argsort(cells, kind="stable")
        sums[owners] = np.add.reduceat(sample[order].astype(np.float64), (np.cumsum(sizes) - sizes)[owners], axis=0)
        centers[owners] = sums[owners] / sizes[owners, None]
        empty = np.flatnonzero(sizes == 0)
        largest = np.argsort(-sizes, kind="stable")[: len(empty)]
        centers[empty[: len(largest)]] = centers[largest] + 0.01 * spread * random.standard_normal(
            (len(largest), sample.shape[1])
        ).astype(np.float32)
    return centers


def nearest_centers(vectors: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """The nearest centre of each vector, float32 `[n, dim]` and `[num_cells, dim]` -> int64 `[n]`."""
    halves = np.sum(centers**2, axis=1) / 2
    parts = [np.zeros(0, np.int64)]
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        parts.append(np.argmax(vectors[start : start + _ROWS_AT_ONCE] @ centers.T - halves, axis=1))
    return np.concatenate(parts)
