"""What replicas tell each other inside of a step."""

from __future__ import annotations

import tensorflow as tf


def of_all_replicas(value: tf.Tensor) -> tf.Tensor:
    """`[rows, ...]` of this replica -> `[replicas * rows, ...]`, of all in their order; gradients go all ways.

    Args:
        value: numbers, of the same static shape on every replica.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tf.identity(value)
    # there is no operation that gathers bfloat16; nothing is lost by the way
    sent = tf.cast(value, tf.float32) if value.dtype == tf.bfloat16 else value
    # as it comes out of a dataset it stands on no device in particular, which several workers' collectives refuse
    return tf.cast(context.all_gather(tf.identity(sent), axis=0), value.dtype)
