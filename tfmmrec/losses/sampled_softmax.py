"""Softmax over the candidates of a batch, corrected for how they came into it."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.losses.masking import masked_logits

BLOCK_ENTRIES = 2**21  # 8 MiB of logits: fits the last cache, and memory that the allocator keeps from step to step
SMALLEST = 1e-30  # a softmax below it has lost digits, or is 0
MAX_BLOCKS = 64  # they are unrolled in the graph


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
    bias = masked_logits(-tf.cast(log_probability, tf.float32)[None, :], candidate_mask)[0]  # [num_candidates]
    query = query / tf.cast(temperature, query.dtype)
    return _cross_entropy(query, candidates, bias, positives)


@tf.custom_gradient
def _cross_entropy(query: tf.Tensor, candidates: tf.Tensor, bias: tf.Tensor, positives: tf.Tensor):
    """−log softmax(⟨q, c⟩ + bias)[positive], block of rows by block of rows, keeping the softmax for the gradient.

    Autodiff of the plain formula makes a dozen passes over all logits, which cost more than the three products. Here
    what comes from above scales the small matrices, never the large one: with g above and P the softmax,
    dq = g (P c − c_positive), dc = Pᵀ (g q) − Σ_positive (g q), and the bias has what c has for a q of 1.
    """
    sizes = _block_sizes(query.shape[0], candidates.shape[0])
    softmax, losses = [], []
    for rows, own in zip(_split(query, sizes), _split(positives, sizes), strict=True):
        block, block_losses = _softmax_and_losses(rows, candidates, bias, own)
        softmax.append(block)
        losses.append(block_losses)

    def gradient(upstream: tf.Tensor):
        scale = tf.cast(upstream, query.dtype)
        scaled = scale[:, None] * query
        to_query = tf.concat([tf.matmul(block, candidates) for block in softmax], axis=0)
        to_candidates = _add_up(
            [
                tf.matmul(block, rows, transpose_a=True)
                for block, rows in zip(softmax, _split(scaled, sizes), strict=True)
            ]
        )
        to_bias = _add_up(
            [
                tf.linalg.matvec(block, rows, transpose_a=True)
                for block, rows in zip(softmax, _split(scale, sizes), strict=True)
            ]
        )
        if query.dtype == tf.float32:
            num_candidates = tf.shape(candidates)[0]
            to_query -= tf.gather(candidates, positives)
            to_candidates -= tf.math.unsorted_segment_sum(scaled, positives, num_candidates)
            to_bias -= tf.math.unsorted_segment_sum(scale, positives, num_candidates)
        return scale[:, None] * to_query, to_candidates, tf.cast(to_bias, tf.float32), None

    return tf.concat(losses, axis=0), gradient


def _softmax_and_losses(
    query: tf.Tensor, candidates: tf.Tensor, bias: tf.Tensor, positives: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """One block's softmax `[rows, num_candidates]` and its losses float32 `[rows]`.

    Half precision could not tell P c from c_positive when they are nearly the same: there it is softmax − one-hot.
    """
    logits = tf.cast(tf.matmul(query, candidates, transpose_b=True), tf.float32)
    logits = tf.nn.bias_add(logits, bias)
    softmax = tf.nn.softmax(logits)
    own = tf.gather(softmax, positives, batch_dims=1)
    losses = tf.cond(
        tf.reduce_all(own > SMALLEST),
        lambda: -tf.math.log(own),
        lambda: tf.reduce_logsumexp(logits, axis=1) - tf.gather(logits, positives, batch_dims=1),
    )
    if query.dtype != tf.float32:
        places = tf.stack([tf.range(tf.shape(positives, positives.dtype)[0]), positives], axis=1)
        softmax = tf.cast(tf.tensor_scatter_nd_sub(softmax, places, tf.ones_like(own)), query.dtype)
    return softmax, losses


def _block_sizes(batch: int | None, num_candidates: int | None) -> list[int]:
    """Rows of blocks of about `BLOCK_ENTRIES` logits; [] for one block: on a GPU, or if only the step knows a size."""
    if not batch or not num_candidates or tf.config.list_logical_devices("GPU"):
        return []
    size = max(1, BLOCK_ENTRIES // num_candidates, -(-batch // MAX_BLOCKS))
    return [min(size, batch - start) for start in range(0, batch, size)]


def _split(tensor: tf.Tensor, sizes: list[int]) -> list[tf.Tensor]:
    return tf.split(tensor, sizes) if len(sizes) > 1 else [tensor]


def _add_up(tensors: list[tf.Tensor]) -> tf.Tensor:
    return tf.add_n(tensors) if len(tensors) > 1 else tensors[0]
