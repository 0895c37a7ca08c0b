"""What accuracy does not say: how much of the catalogue is recommended, how unusual, how evenly."""

from __future__ import annotations

import numpy as np


def self_information(interaction_counts: np.ndarray) -> np.ndarray:
    """How surprising the choice of each candidate is, −log2 p in bits, `[num_candidates]`.

    p is the candidate's share of the training interactions, each candidate counted once more than it was
    chosen, so that one nobody has chosen yet is rare and not impossible (Zhou et al. 2010, "Solving the
    apparent diversity-accuracy dilemma of recommender systems").

    Args:
        interaction_counts: `[num_candidates]`, training interactions of each candidate.
    """
    counts = np.asarray(interaction_counts, np.float64) + 1.0
    return np.log2(counts.sum()) - np.log2(counts)


def coverage(recommended_counts: np.ndarray) -> float:
    """Share of the candidates that at least one query is recommended.

    Args:
        recommended_counts: `[num_candidates]`, to how many queries each candidate that can be recommended is.
    """
    return float(np.mean(np.asarray(recommended_counts) > 0)) if len(recommended_counts) else 0.0


def novelty(recommended_counts: np.ndarray, information: np.ndarray) -> float:
    """Mean self-information of what is recommended, in bits.

    Args:
        recommended_counts: `[num_candidates]`, to how many queries each candidate is recommended.
        information: `[num_candidates]`, see `self_information`.
    """
    counts = np.asarray(recommended_counts, np.float64)
    return float(counts @ information / max(counts.sum(), 1.0))


def gini(recommended_counts: np.ndarray) -> float:
    """Gini coefficient of the counts: 0 when all are recommended equally often, near 1 when few are.

    Args:
        recommended_counts: `[num_candidates]`, to how many queries each candidate that can be recommended is.
    """
    counts = np.sort(np.asarray(recommended_counts, np.float64))
    total = counts.sum()
    if total == 0.0:
        return 0.0
    ranks = np.arange(1, counts.size + 1)
    return float((2.0 * ranks - counts.size - 1.0) @ counts / (counts.size * total))
