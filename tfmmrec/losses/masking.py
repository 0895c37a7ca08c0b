"""Leaving candidates out of a softmax."""

from __future__ import annotations

import tensorflow as tf

LOWEST = -1e9  # finite, so that 0 · logit stays 0 and no gradient becomes NaN


def masked_logits(logits: tf.Tensor, candidate_mask: tf.Tensor | None) -> tf.Tensor:
    """Logits `[batch, num_candidates]` as float32, those of candidates outside the mask far below all others.

    Args:
        logits: `[batch, num_candidates]`.
        candidate_mask: bool `[num_candidates]`, True = counts; None for all.
    """
    logits = tf.cast(logits, tf.float32)
    return logits if candidate_mask is None else tf.where(candidate_mask[None, :], logits, LOWEST)
