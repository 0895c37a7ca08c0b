"""The candidates of a global batch as negatives: each once, from all replicas, with its chance of being there."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmmrec.replicas import of_all_replicas


def log_inclusion_probability(counts: np.ndarray, batch_size: int) -> np.ndarray:
    """log(1 − (1 − p)^B): the chance that a candidate is among the B rows of a batch.

    Args:
        counts: `[num_candidates]`, training interactions of each candidate; p is its share of them.
        batch_size: B, rows over all replicas.

    Returns:
        float64 `[num_candidates]`; a candidate without interactions counts as one with half an interaction.

    >>> log_inclusion_probability(np.array([1, 3]), 2).round(4).tolist()  # log(7/16), log(15/16)
    [-0.8267, -0.0645]
    """
    counts = np.maximum(np.asarray(counts, np.float64), 0.5)
    share = np.minimum(counts / counts.sum(), 1.0 - 1e-12)
    return np.log(-np.expm1(batch_size * np.log1p(-share)))


def unique_across_replicas(
    rows: tf.Tensor, vectors: tf.Tensor, positives: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Gathers the candidates of all replicas; a candidate that several of them have counts once.

    Every replica gets the same set of candidates, with its own copies in the place of those that others have too: so
    all replicas together give the loss and the gradients that one would.

    Args:
        rows: int32 `[unique]`, this replica's different candidates, -1 for padding.
        vectors: `[unique, dim]`, theirs.
        positives: int `[batch]`, the column of each row's own candidate among `rows`.

    Returns:
        The same four as `rows [all]`, `vectors [all, dim]`, `mask` bool `[all]` (False for padding and repeated
        columns) and `positives`, with `all` = replicas × unique. The replica's own columns come first.
    """
    context = tf.distribute.get_replica_context()
    num_replicas = context.num_replicas_in_sync
    if num_replicas > 1:
        unique = rows.shape[0] or tf.shape(rows)[0]
        shift = context.replica_id_in_sync_group * unique
        # own ones first, so that `positives` stay what they are
        rows = tf.roll(of_all_replicas(rows), -shift, axis=0)
        vectors = tf.roll(of_all_replicas(vectors), -shift, axis=0)
    return rows, vectors, first_occurrences(rows) & (rows >= 0), positives


def first_occurrences(rows: tf.Tensor) -> tf.Tensor:
    """bool `[n]`: True where the value stands for the first time."""
    order = tf.argsort(rows, stable=True)
    ordered = tf.gather(rows, order)
    first = tf.concat([[True], ordered[1:] != ordered[:-1]], axis=0)
    return tf.scatter_nd(order[:, None], first, tf.shape(rows))
