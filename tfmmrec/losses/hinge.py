"""Pairs of a positive and a negative with a margin between them."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.losses.masking import masked_mean


def hinge(
    positive_scores: tf.Tensor,
    negative_scores: tf.Tensor,
    negative_mask: tf.Tensor | None = None,
    margin: float = 1.0,
) -> tf.Tensor:
    """max(0, margin − s₊ + s₋), the mean over a row's negatives (Herbrich et al. 2000; Weston et al. 2011).

    Args:
        positive_scores: `[batch]`.
        negative_scores: `[batch, num_negatives]`.
        negative_mask: bool `[batch, num_negatives]`, True = counts; None for all.
        margin: a pair further apart than this costs nothing.

    Returns:
        float32 `[batch]`; 0 for a row without negatives.

    >>> import tensorflow as tf
    >>> hinge(tf.constant([2.0]), tf.constant([[0.5, 1.5]])).numpy().tolist()  # (0 + 0.5) / 2
    [0.25]
    """
    difference = tf.cast(positive_scores, tf.float32)[:, None] - tf.cast(negative_scores, tf.float32)
    return masked_mean(difference, negative_mask, lambda values: tf.nn.relu(margin - values))
