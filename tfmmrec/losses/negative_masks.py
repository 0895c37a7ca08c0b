"""Which negatives count for a row: not those it is known to like, and perhaps only the hardest."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.losses.masking import masked_logits
from tfmmrec.types import UsageError


def known_positives(rows: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """Marks the candidates that a query has chosen: negatives that are none.

    Memory grows with `batch · num_negatives` and `batch · n`, not with their product.

    Args:
        rows: int `[num_negatives]`, candidates; -1 for padding, which is never marked. One may stand there twice.
        known: int `[batch, n]`, the candidates of each row's history or of all it has chosen, -1 padded.

    Returns:
        bool `[batch, num_negatives]`, True = the candidate is among the row's known ones.

    >>> import tensorflow as tf
    >>> known_positives(tf.constant([4, 2, -1, 4]), tf.constant([[4, -1], [7, 2]])).numpy().tolist()
    [[True, False, False, True], [False, True, False, False]]
    """
    known = tf.cast(known, rows.dtype)
    ordered = tf.sort(rows)
    flat = tf.reshape(known, [-1])
    places = tf.minimum(tf.searchsorted(ordered, flat), tf.size(rows) - 1)  # of the first that is not below
    found = (tf.gather(ordered, places) == flat) & (flat >= 0)
    batch = tf.repeat(tf.range(tf.shape(known)[0]), tf.shape(known)[1])
    shape = tf.stack([tf.shape(known)[0], tf.size(rows)])
    marked = tf.scatter_nd(tf.stack([batch, places], axis=1), tf.cast(found, tf.int32), shape) > 0  # in sorted order
    return tf.gather(marked, tf.searchsorted(ordered, rows), axis=1)


def hard_negatives(logits: tf.Tensor, num_negatives: int, mask: tf.Tensor | None = None) -> tf.Tensor:
    """Keeps the highest-scoring negatives of each row (Karpukhin et al. 2020 and others: "hard negatives").

    What scores the same as the last one kept is kept too, so that the order of the columns has no say.

    Args:
        logits: `[batch, n]`; they only choose, no gradient flows through the choice.
        num_negatives: how many are kept.
        mask: bool `[batch, n]`, what is a negative of the row: not its own candidate; None for all.

    Returns:
        bool `[batch, n]`; all of the mask for a row that has no more than `num_negatives`.

    Raises:
        UsageError: fewer than one are to be kept.

    >>> import tensorflow as tf
    >>> hard_negatives(tf.constant([[3., 1., 2.]]), 1, tf.constant([[False, True, True]])).numpy().tolist()
    [[False, False, True]]
    """
    if num_negatives < 1:
        raise UsageError(f"hard_negatives must keep at least 1, got {num_negatives}")
    logits = masked_logits(tf.stop_gradient(logits), mask)  # [batch, n]
    kept = tf.minimum(num_negatives, tf.shape(logits)[1])
    hard = logits >= tf.math.top_k(logits, kept).values[:, -1:]
    return hard if mask is None else hard & mask
