"""Negatives from the catalogue, others in every step."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmmrec.losses.sampling import cumulative_popularity, popularity_negatives, uniform_negatives
from tfmmrec.randomness import RandomDraws
from tfmmrec.types import UsageError


class NegativeSampler(tf.Module):
    """Draws candidates, the same on every replica, and others in every training step; a checkpoint remembers which.

    Args:
        num_negatives: drawn in a step, with replacement.
        counts: `[num_candidates]` interactions of each candidate in train; those without any are never drawn, as they
            are not in the denominator of a full softmax either.
        power: chances go with count^power; 0 for uniform.
        seed: of the draws, see `RandomDraws`.

    Raises:
        UsageError: numbers out of range.
    """

    def __init__(self, num_negatives: int, counts: np.ndarray, power: float = 0.0, seed: int | None = None):
        super().__init__(name="negative_sampler")
        if num_negatives < 1:
            raise UsageError(f"num_negatives must be at least 1, got {num_negatives}")
        if not power >= 0.0:
            raise UsageError(f"the power of popularity must be 0 or more, got {power}")
        self.num_negatives = num_negatives
        self.power = power
        cumulative = cumulative_popularity(counts, power)
        drawable = np.flatnonzero(np.asarray(counts) > 0)
        self.num_drawable = drawable.size
        # eager tensors: captured by the step, no weights of the model
        self._table = tf.constant(cumulative) if power else tf.constant(drawable, tf.int32)
        self.draws = RandomDraws(seed, name="draws")

    @property
    def log_inclusion(self) -> float:
        """log(1 − (1 − 1/N)^n): the chance of one of N candidates to be among n uniform draws."""
        share = min(1.0 / self.num_drawable, 1.0 - 1e-12)
        return float(np.log(-np.expm1(self.num_negatives * np.log1p(-share))))

    def __call__(self, training: bool = False, query_rows: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """-> rows int32 `[num_negatives]`, and the log of how often each is expected; always the same for a test.

        They are the same for all queries, `query_rows` have no say.
        """
        seed = self.draws.next_seed(shared=True) if training else tf.constant([self.draws.seed, -1], tf.int64)
        if self.power:
            return popularity_negatives(self.num_negatives, self._table, seed)
        places, log_expected = uniform_negatives(self.num_negatives, self.num_drawable, seed)
        return tf.gather(self._table, places), log_expected
