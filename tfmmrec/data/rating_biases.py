"""Ratings by a mean and biases alone (Koren 2008): where predicted ratings begin, and what they have to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfmmrec.data.interactions import BLOCK_ROWS, Interactions
from tfmmrec.data.storage import release


@dataclass(frozen=True)
class RatingBiases:
    """r̂ = μ + b_u + b_i.

    Attributes:
        mean: μ.
        of_queries: float64 `[num_queries]`, b_u; 0 for those that have rated nothing.
        of_candidates: float64 `[num_candidates]`, b_i; 0 for those that nobody has rated.
    """

    mean: float
    of_queries: np.ndarray
    of_candidates: np.ndarray

    def __call__(self, query_rows: np.ndarray, candidate_rows: np.ndarray) -> np.ndarray:
        """Rows int `[n]` of both sides -> r̂, float64 `[n]`."""
        return self.mean + self.of_queries[query_rows] + self.of_candidates[candidate_rows]


def rating_moments(interactions: Interactions) -> tuple[float | None, float | None]:
    """Mean and standard deviation of the ratings there are, None without any; 1 where all are the same."""
    ratings = interactions.columns.get("rating")
    count, total, squares = 0, 0.0, 0.0
    for start in range(0, 0 if ratings is None else interactions.num_rows, BLOCK_ROWS):
        given = np.asarray(ratings[start : start + BLOCK_ROWS], np.float64)
        given = given[np.isfinite(given)]
        count, total, squares = count + given.size, total + float(given.sum()), squares + float(given @ given)
        release(ratings)
    if not count:
        return None, None
    mean = total / count
    return mean, max(squares / count - mean**2, 0.0) ** 0.5 or 1.0


def rating_biases(train: Interactions, mean: float, regularization: float = 5.0, num_sweeps: int = 10) -> RatingBiases:
    """The biases that minimise Σ (r − μ − b_u − b_i)² + λ (Σ b_u² + Σ b_i²), by solving for either side in turns.

    Args:
        train: with ratings; NaN where there is none.
        mean: μ.
        regularization: λ.
        num_sweeps: how often each side is solved for.
    """
    found = RatingBiases(mean, np.zeros(train.num_queries), np.zeros(train.num_candidates))
    for _ in range(num_sweeps):
        for own in (found.of_candidates, found.of_queries):
            own[:] = _solved(train, found, own, regularization)
    return found


def _solved(train: Interactions, biases: RatingBiases, own: np.ndarray, regularization: float) -> np.ndarray:
    """One side's biases, the others given, a block of rows at a time."""
    sums, counts = np.zeros(own.size), np.zeros(own.size)
    ratings = train.columns["rating"]
    for queries, rows in train.blocks():
        is_rated = np.isfinite(ratings[rows])
        sizes = np.diff(train.indptr[queries.start : queries.stop + 1])
        owners = np.repeat(np.arange(queries.start, queries.stop), sizes)[is_rated], train.indices[rows][is_rated]
        places = owners[0] if own is biases.of_queries else owners[1]
        rest = ratings[rows][is_rated] - biases(*owners) + own[places]
        sums += np.bincount(places, rest, own.size)
        counts += np.bincount(places, minlength=own.size)
        release(train.indices, ratings)
    return sums / (regularization + counts)
