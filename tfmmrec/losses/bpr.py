"""Bayesian personalised ranking."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.losses.masking import masked_mean


def bpr(positive_scores: tf.Tensor, negative_scores: tf.Tensor, negative_mask: tf.Tensor | None = None) -> tf.Tensor:
    """−log σ(s₊ − s₋), the mean over a row's negatives (Rendle et al. 2009, "BPR").

    Args:
        positive_scores: `[batch]`.
        negative_scores: `[batch, num_negatives]`.
        negative_mask: bool `[batch, num_negatives]`, True = counts; None for all.

    Returns:
        float32 `[batch]`; 0 for a row without negatives.

    >>> import tensorflow as tf
    >>> round(float(bpr(tf.zeros([1]), tf.zeros([1, 3]))[0]), 4)  # log 2
    0.6931
    """
    difference = tf.cast(positive_scores, tf.float32)[:, None] - tf.cast(negative_scores, tf.float32)
    return masked_mean(difference, negative_mask, lambda values: tf.nn.softplus(-values))
