"""Whether a difference between two models is more than chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfmmrec.types import UsageError


class Difference(NamedTuple):
    """A difference of means and its confidence interval."""

    difference: float
    low: float
    high: float


def paired_bootstrap(
    a: np.ndarray,
    b: np.ndarray,
    seed: int = 0,
    num_samples: int = 1000,
    confidence: float = 0.95,
    relative: bool = False,
) -> Difference:
    """The mean of a − b over queries, with a percentile interval from resampled queries.

    Efron & Tibshirani 1993. Both models are measured on the same resampled queries, so that what makes a
    query hard for both cancels out.

    Args:
        a: `[queries]`, a metric of one model for each query.
        b: `[queries]`, the same metric of the other for the same queries in the same order.
        seed: of the resampling.
        num_samples: how often the queries are resampled.
        confidence: probability inside the interval.
        relative: give (mean of a) / (mean of b) − 1 in place of the difference.

    Raises:
        UsageError: arrays that do not pair up, or a relative difference to a mean of zero.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise UsageError(
            f"a and b must be two arrays [queries] over the same queries, got {list(a.shape)} and {list(b.shape)}"
        )
    if num_samples < 1 or not 0.0 < confidence < 1.0:
        raise UsageError(f"need num_samples ≥ 1 and 0 < confidence < 1, got {num_samples} and {confidence}")
    if relative and not b.mean() > 0.0:
        raise UsageError("a relative difference needs a b whose mean is positive; pass relative=False")
    random = np.random.default_rng(seed)
    differences = np.empty(num_samples)
    for sample in range(num_samples):
        rows = random.integers(0, a.size, a.size)
        differences[sample] = _difference(a[rows].mean(), b[rows].mean(), relative)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(differences, [tail, 1.0 - tail])
    return Difference(float(_difference(a.mean(), b.mean(), relative)), float(low), float(high))


def _difference(a: float, b: float, relative: bool) -> float:
    if not relative:
        return a - b
    return a / b - 1.0 if b else np.inf
