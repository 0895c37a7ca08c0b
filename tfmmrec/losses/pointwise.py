"""Binary cross-entropy of an interaction and its negatives."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.losses.masking import masked_mean


def pointwise(positive_scores: tf.Tensor, negative_scores: tf.Tensor, negative_mask: tf.Tensor | None = None):
    """The mean of −log σ(s₊) and of −log(1 − σ(s₋)) for each negative (He et al. 2017, "NCF", equation 7).

    Args:
        positive_scores: `[batch]`.
        negative_scores: `[batch, num_negatives]`.
        negative_mask: bool `[batch, num_negatives]`, True = counts; None for all.

    Returns:
        float32 `[batch]`, each the mean over its interaction and the negatives that count.

    >>> import tensorflow as tf
    >>> round(float(pointwise(tf.zeros([1]), tf.zeros([1, 3]))[0]), 4)  # log 2
    0.6931
    """
    negative_scores = tf.cast(negative_scores, tf.float32)
    wrong = tf.concat([-tf.cast(positive_scores, tf.float32)[:, None], negative_scores], axis=1)  # [batch, 1 + n]
    mask = negative_mask
    if mask is not None:
        mask = tf.concat([tf.ones_like(wrong[:, :1], tf.bool), mask], axis=1)
    return masked_mean(wrong, mask, tf.nn.softplus)
