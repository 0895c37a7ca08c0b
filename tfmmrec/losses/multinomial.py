"""Multinomial likelihood of everything a query chose."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.losses.masking import masked_logits


def multinomial(logits: tf.Tensor, targets: tf.Tensor, candidate_mask: tf.Tensor | None = None) -> tf.Tensor:
    """−Σ_i x_i log softmax(logits)_i (Liang et al. 2018, "Variational autoencoders for CF", eq. 2).

    Args:
        logits: `[batch, num_candidates]`.
        targets: `[batch, num_candidates]`, how often (or with what weight) each row chose each candidate; 0 outside
            the mask.
        candidate_mask: bool `[num_candidates]`, the candidates in the denominator; None for all.

    Returns:
        float32 `[batch]`; divided by the sum of the targets it is the mean over interactions.

    >>> import tensorflow as tf
    >>> multinomial(tf.zeros([1, 4]), tf.constant([[1., 0., 1., 0.]])).numpy().round(4).tolist()  # 2 log 4
    [2.7726]
    """
    targets = tf.cast(targets, tf.float32)
    return tf.nn.softmax_cross_entropy_with_logits(
        targets / tf.maximum(tf.reduce_sum(targets, axis=1, keepdims=True), 1e-12),
        masked_logits(logits, candidate_mask),
    ) * tf.reduce_sum(targets, axis=1)
