"""Tables that a training with parameter servers cuts up, by rows: each server holds some of them."""

from __future__ import annotations

import tensorflow as tf

Table = tf.Tensor | tf.Variable | tf.__internal__.distribute.ShardedVariable


def is_cut(table: Table | None) -> bool:
    """Whether a table lies in several parts."""
    return isinstance(table, tf.__internal__.distribute.ShardedVariable)


def rows_of(table: Table, rows: tf.Tensor) -> tf.Tensor:
    """The rows `[..., dim]` of a table `[size, dim]`, at int `rows` `[...]`.

    `tf.gather` of a table in parts would fetch all of it from the servers; a lookup asks each one for its rows alone.
    """
    return tf.nn.embedding_lookup(list(table.variables), rows) if is_cut(table) else tf.gather(table, rows)


def local_rows(table: Table, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A table in parts and rows of it -> a small table of just these rows, and their places in it.

    Args:
        table: `[size, dim]`; one that is not cut up comes back as it is.
        rows: int32 `[batch, length]`, -1 for padding.

    Returns:
        The table `[any, dim]` and int32 `[batch, length]`, -1 where the rows are.
    """
    if not is_cut(table):
        return table, rows
    different, places = tf.unique(tf.reshape(tf.maximum(rows, 0), [-1]))  # [any], [batch * length]
    return rows_of(table, different), tf.where(rows >= 0, tf.reshape(places, tf.shape(rows)), -1)
