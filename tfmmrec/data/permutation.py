"""A shuffled order that is computed, not stored."""

from __future__ import annotations

import numpy as np

_ROUNDS = 6


class Permutation:
    """A pseudo-random permutation of 0 .. size − 1 in constant memory.

    A balanced Feistel network over the next even number of bits, walked until it falls inside the range (Black &
    Rogaway 2002, "Ciphers with Arbitrary Finite Domains"). Entry i is a function of (seed, i): a shuffled pass over
    ten million rows needs no ten million numbers, and goes on from anywhere.

    Args:
        size: how many entries.
        seed: any non-negative integers; another seed is another permutation.
    """

    def __init__(self, size: int, *seed: int):
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.size = size
        self._half = max(1, (int(size - 1).bit_length() + 1) // 2)
        self._mask = np.uint64((1 << self._half) - 1)
        self._keys = np.random.default_rng(seed).integers(0, 2**63, _ROUNDS, dtype=np.uint64)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Int places in [0, size) -> their int64 entries, same shape."""
        values = np.asarray(places, np.uint64)
        values = self._encrypt(values)
        outside = values >= self.size
        while outside.any():
            values[outside] = self._encrypt(values[outside])
            outside = values >= self.size
        return values.astype(np.int64)

    def _encrypt(self, values: np.ndarray) -> np.ndarray:
        half = np.uint64(self._half)
        left, right = values >> half, values & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mix(right ^ key) & self._mask)
        return (left << half) | right


def _mix(x: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
