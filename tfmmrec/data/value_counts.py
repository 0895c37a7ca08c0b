"""How often each number occurs: what many processes count apart is merged, and quantiles are those of all numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ValueCounts:
    """Different numbers in ascending order, and how often each stands there.

    Attributes:
        values: float64 `[num_different]`.
        counts: int64 `[num_different]`, at least 1.
    """

    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray) -> ValueCounts:
        """Counts numbers `[n]`, none of them NaN."""
        values, counts = np.unique(np.asarray(numbers, np.float64), return_counts=True)
        return cls(values, counts.astype(np.int64))

    @classmethod
    def merged(cls, parts: Iterable[ValueCounts]) -> ValueCounts:
        """All parts together."""
        parts = [part for part in parts if part.values.size]
        if not parts:
            return cls(np.zeros(0), np.zeros(0, np.int64))
        values, places = np.unique(np.concatenate([part.values for part in parts]), return_inverse=True)
        counts = np.zeros(values.size, np.int64)
        np.add.at(counts, places, np.concatenate([part.counts for part in parts]))
        return cls(values, counts)

    @property
    def total(self) -> int:
        """How many numbers were counted."""
        return int(self.counts.sum())

    def at(self, rank: int) -> float:
        """The number at a place of the sorted order, 0 ≤ rank < total."""
        return float(self.values[np.searchsorted(np.cumsum(self.counts), rank, side="right")])

    def num_below(self, bound: float) -> int:
        """How many are smaller than a bound."""
        return int(self.counts[: np.searchsorted(self.values, bound)].sum())

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """What `np.quantile` gives of all numbers, `[len(shares)]`; at least one must be there."""
        found = []
        for share in shares:
            rank, part = divmod((self.total - 1) * share, 1)
            low, high = self.at(int(rank)), self.at(min(int(rank) + 1, self.total - 1))
            found.append(low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part))
        return found

    def nearest(self, shares: Sequence[float]) -> list[float]:
        """What `np.quantile(..., method="nearest")` gives: of two that are as near, the one at the even place."""
        return [self.at(int(np.rint((self.total - 1) * share))) for share in shares]
