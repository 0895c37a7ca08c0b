"""Softmax over all candidates."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.losses.masking import masked_logits


def full_softmax(logits: tf.Tensor, positives: tf.Tensor, candidate_mask: tf.Tensor | None = None) -> tf.Tensor:
    """−log softmax(logits)[positive], the categorical likelihood of each row's candidate.

    Args:
        logits: `[batch, num_candidates]`.
        positives: int `[batch]`, each row's candidate.
        candidate_mask: bool `[num_candidates]`, the candidates in the denominator; None for all.

    Returns:
        float32 `[batch]`.

    >>> import tensorflow as tf
    >>> full_softmax(tf.zeros([1, 4]), tf.constant([2])).numpy().round(4).tolist()  # log 4
    [1.3863]
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(positives, masked_logits(logits, candidate_mask))
