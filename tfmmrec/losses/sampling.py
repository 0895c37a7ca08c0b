"""Negatives drawn from the catalogue, with what corrects for how they were drawn.

All draws are pure functions of a seed `[2]`, by custom (seed, step). They are with replacement: a candidate that comes
twice stands there twice. With n draws of chance p a candidate is expected n p times, and the sum of e^s / (n p) over
the draws has the mean Σ_c e^{s_c}, the denominator of the full softmax (Bengio & Senécal 2008).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmmrec.types import UsageError


def uniform_negatives(num_negatives: int, num_candidates: int, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws each candidate with the same chance.

    Args:
        num_negatives: n, how many are drawn.
        num_candidates: among how many.
        seed: int `[2]`.

    Returns:
        Rows int32 `[num_negatives]`, and the log of how often each of them is expected, float32 `[num_negatives]`.
    """
    rows = tf.random.stateless_uniform([num_negatives], seed, maxval=num_candidates, dtype=tf.int32)
    return rows, tf.fill([num_negatives], np.float32(np.log(num_negatives / num_candidates)))


def cumulative_popularity(counts: np.ndarray, power: float = 0.75) -> np.ndarray:
    """Σ_{i ≤ c} p_i with p ~ count^power: what `popularity_negatives` searches.

    Args:
        counts: `[num_candidates]` interactions; a candidate without any is never drawn.
        power: 1 for popularity itself, 0 for all that have interactions alike (0.75: Mikolov et al. 2013).

    Returns:
        float64 `[num_candidates]`, rising to 1.

    Raises:
        UsageError: no candidate has interactions, or one has fewer than none.

    >>> cumulative_popularity(np.array([1, 0, 3]), power=1.0).tolist()
    [0.25, 0.25, 1.0]
    """
    counts = np.asarray(counts, np.float64)
    if not (counts >= 0).all() or not (counts > 0).any():
        raise UsageError("popularity needs counts of interactions that are 0 or more, and one above 0")
    total = np.cumsum(np.where(counts > 0, np.maximum(counts, 1e-300) ** power, 0.0))
    return total / total[-1]


def popularity_negatives(
    num_negatives: int, cumulative: np.ndarray | tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws candidates by their popularity: the first whose cumulative share is above a uniform number.

    Args:
        num_negatives: n, how many are drawn.
        cumulative: float64 `[num_candidates]`, see `cumulative_popularity`.
        seed: int `[2]`.

    Returns:
        Rows int32 `[num_negatives]`, and the log of how often each of them is expected, float32 `[num_negatives]`.
    """
    cumulative = tf.convert_to_tensor(cumulative, tf.float64)
    numbers = tf.random.stateless_uniform([num_negatives], seed, dtype=tf.float64)
    rows = tf.searchsorted(cumulative, numbers, side="right")
    share = tf.gather(cumulative, rows) - tf.where(rows > 0, tf.gather(cumulative, tf.maximum(rows - 1, 0)), 0.0)
    return rows, tf.cast(tf.math.log(num_negatives * share), tf.float32)


def log_union_probability(log_probability: tf.Tensor, log_other: tf.Tensor | float) -> tf.Tensor:
    """log(1 − (1 − π)(1 − π′)): the chance to be in one of two samples, or in both.

    Mixed negatives (Yang et al. 2020, "Mixed negative sampling for learning two-tower neural networks in
    recommendations") are a batch's candidates together with some drawn uniformly. One column for each candidate of the
    union, corrected by this, makes the denominator an unbiased estimate of the full one, as π does for a batch alone.

    Args:
        log_probability: log π, `[n]`.
        log_other: log π′, `[n]` or one for all.

    Returns:
        float32 `[n]`.
    """
    one = tf.minimum(tf.exp(tf.cast(log_probability, tf.float32)), 1.0)
    other = tf.exp(tf.cast(log_other, tf.float32))
    return tf.math.log(one + (1.0 - one) * other)  # no 1 − small, which would lose its digits
