"""Softmax over the candidates of a batch, corrected for how they came into it."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.losses.masking import masked_logits


def sampled_softmax(
    query: tf.Tensor,
    candidates: tf.Tensor,
    positives: tf.Tensor,
    *,
    log_probability: tf.Tensor,
    candidate_mask: tf.Tensor | None = None,
    temperature: float = 1.0,
) -> tf.Tensor:
    """−log softmax(⟨q, c⟩ / temperature − log p)[positive]: in-batch negatives with the sampling correction.

    One column per different candidate of the global batch. A candidate is in it with probability p = 1 − (1 − p_1)^B,
    so subtracting log p makes the denominator an unbiased estimate of the full one (Bengio & Senécal 2008; Yi et al.
    2019, "Sampling-bias-corrected neural modeling for large corpus item recommendations").

    `tfrs.tasks.Retrieval` does something else: one column per row, so that a popular candidate stands there several
    times and, unless `remove_accidental_hits` is on, also against itself; its correction is log p_1; and under
    `tf.distribute` it sees only its own replica's candidates.

    Args:
        query: `[batch, dim]`.
        candidates: `[num_candidates, dim]`, different ones.
        positives: int `[batch]`, the column of each row's own candidate.
        log_probability: `[num_candidates]`, log p of each column.
        candidate_mask: bool `[num_candidates]`, False for padding and repeated columns; None for none.
        temperature: the scores are divided by it.

    Returns:
        float32 `[batch]`.
    """
    logits = tf.cast(tf.matmul(query, candidates, transpose_b=True), tf.float32) / temperature
    logits -= tf.cast(log_probability, tf.float32)[None, :]
    return tf.nn.sparse_softmax_cross_entropy_with_logits(positives, masked_logits(logits, candidate_mask))
