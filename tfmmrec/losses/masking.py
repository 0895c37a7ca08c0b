"""Leaving candidates out of a softmax or of a mean."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

LOWEST = -1e9  # finite, so that 0 · logit stays 0 and no gradient becomes NaN


def masked_logits(logits: tf.Tensor, candidate_mask: tf.Tensor | None) -> tf.Tensor:
    """Logits `[batch, num_candidates]` as float32, those of candidates outside the mask far below all others.

    Args:
        logits: `[batch, num_candidates]`.
        candidate_mask: bool `[num_candidates]`, or `[batch, num_candidates]` for a mask of each row's own; True =
            counts; None for all.
    """
    logits = tf.cast(logits, tf.float32)
    return logits if candidate_mask is None else tf.where(candidate_mask, logits, LOWEST)


def masked_mean(
    values: tf.Tensor, mask: tf.Tensor | None, function: Callable[[tf.Tensor], tf.Tensor] = tf.identity
) -> tf.Tensor:
    """The mean of function(value) over each row's values inside the mask, float32 `[batch]`; 0 where there are none.

    Args:
        values: float32 `[batch, n]`; those outside the mask may be anything, and get no gradient.
        mask: bool `[batch, n]`, True = counts; None for all.
        function: of one value, taken entry by entry.
    """
    if mask is None:
        return tf.reduce_mean(function(values), axis=1)
    counted = tf.where(mask, function(tf.where(mask, values, 0.0)), 0.0)
    total = tf.reduce_sum(tf.cast(mask, tf.float32), axis=1)
    return tf.reduce_sum(counted, axis=1) / tf.maximum(total, 1.0)
