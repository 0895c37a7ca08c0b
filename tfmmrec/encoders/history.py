"""What a query chose before, as a modality."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.randomness import RandomDraws
from tfmmrec.types import Embedded, UsageError

_DENSE_LIMIT = 20_000


def pool_rows(table: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sum of a table's rows and how many there were.

    Up to 20,000 candidates the sum is a product with a count matrix, whose gradient is one more product; beyond that a
    gather. Both give the same numbers.

    Args:
        table: `[num_candidates, dim]`.
        rows: int32 `[batch, length]`, -1 for padding.

    Returns:
        The sums `[batch, dim]` and the counts `[batch, 1]`.
    """
    mask = tf.cast(rows >= 0, table.dtype)
    count = tf.reduce_sum(mask, axis=1, keepdims=True)
    size = table.shape[0]
    if size is not None and size <= _DENSE_LIMIT:
        batch = tf.shape(rows)[0]
        place = tf.range(batch)[:, None] * size + tf.maximum(rows, 0)
        flat = tf.math.unsorted_segment_sum(tf.reshape(mask, [-1]), tf.reshape(place, [-1]), batch * size)
        return tf.matmul(tf.reshape(flat, [batch, size]), table), count
    vectors = tf.gather(table, tf.maximum(rows, 0))  # [batch, length, dim]
    return tf.linalg.matvec(vectors, mask, transpose_a=True), count


class PastCandidates(Encoder):
    """What the encoders of a history share: they read vectors of candidates, by their rows.

    Where a step embeds the whole catalogue, the vectors come from a tower of their own or from the candidate tower,
    live and with gradient; else from a table of the candidate tower's that is refreshed every so many steps. When
    served they are gathered from the index, so refreshed candidates count. `call` gets them as `table`
    `[num_candidates, dim]`; the row's own candidate is never among `rows`, int32 `[batch, any]`, newest first, -1 for
    padding.

    Args:
        length: how many past candidates are kept, newest first.
        dropout: share of the entries left out at random in a training step.

    Raises:
        UsageError: a length below 1, or a dropout outside [0, 1).
    """

    def __init__(self, length: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        if length < 1:
            raise UsageError(f"history length must be at least 1, got {length}")
        if not 0.0 <= dropout < 1.0:
            raise UsageError(f"history dropout must lie in [0, 1), got {dropout}")
        self.length = length
        self.dropout = dropout
        self.draws = RandomDraws(name="draws")

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, self.length], tf.string)

    def kept(self, rows: tf.Tensor, training: bool | None) -> tf.Tensor:
        """The rows, -1 in place of those that are left out of a training step."""
        if training and self.dropout > 0.0:
            rows = tf.where(self.draws(tf.shape(rows)) < self.dropout, -1, rows)
        return rows

    def get_config(self):
        return super().get_config() | {"length": self.length, "dropout": self.dropout}


@tf.keras.utils.register_keras_serializable("tfmmrec")
class HistoryEncoder(PastCandidates):
    """Pools the vectors of a query's past candidates.

    Args:
        length: how many past candidates are kept, newest first.
        exponent: the sum is divided by count ** exponent: 1 is the mean, 0.5 keeps the variance, 0 is the sum.
        dropout: share of the entries left out at random in a training step.
    """

    def __init__(self, length: int, exponent: float = 1.0, dropout: float = 0.0, **kwargs):
        super().__init__(length, dropout, **kwargs)
        self.exponent = exponent

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        rows, table = self.kept(inputs["rows"], training), inputs["table"]  # [batch, length], [num_candidates, dim]
        total, count = pool_rows(tf.cast(table, self.compute_dtype), rows)
        vector = total / tf.pow(tf.maximum(count, 1.0), self.exponent)
        return {"vector": vector, "present": count[:, 0] > 0}

    def get_config(self):
        return super().get_config() | {"exponent": self.exponent}
