"""What predicted ratings have to beat: the mean, and the mean with biases alone (Koren 2008)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfmmrec.data.interactions import Interactions


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


def rating_biases(train: Interactions, regularization: float = 5.0, num_sweeps: int = 10) -> RatingBiases:
    """The biases that minimise Σ (r − μ − b_u − b_i)² + λ (Σ b_u² + Σ b_i²), by solving for either side in turns.

    Args:
        train: with ratings; NaN where there is none.
        regularization: λ.
        num_sweeps: how often each side is solved for.
    """
    is_rated = np.isfinite(train.columns["rating"])
    queries, candidates = train.query_rows()[is_rated], train.indices[is_rated]
    ratings = train.columns["rating"][is_rated].astype(np.float64)
    mean = float(ratings.mean()) if ratings.size else 0.0
    of_queries, of_candidates = np.zeros(train.num_queries), np.zeros(train.num_candidates)
    for _ in range(num_sweeps):
        rest = ratings - mean - of_queries[queries]
        of_candidates = _ridge(candidates, rest, train.num_candidates, regularization)
        rest = ratings - mean - of_candidates[candidates]
        of_queries = _ridge(queries, rest, train.num_queries, regularization)
    return RatingBiases(mean, of_queries, of_candidates)


def _ridge(owners: np.ndarray, rest: np.ndarray, size: int, regularization: float) -> np.ndarray:
    return np.bincount(owners, rest, size) / (regularization + np.bincount(owners, minlength=size))
