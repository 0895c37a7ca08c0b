"""How often a candidate comes by, estimated from the stream."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.types import UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class StreamingFrequency(tf.keras.layers.Layer):
    """Estimates the chance that a candidate is in a batch, for logs too long to count (Yi et al. 2019, algorithm 2).

    For each bucket A is the step it was last seen and B the average number of steps between: B ← (1 − α) B + α (t − A),
    A ← t; the chance is 1 / B. A batch holds a candidate once, so this is the probability of inclusion, not of a row.

    Args:
        num_buckets: candidates share buckets when there are more of them.
        rate: α, in (0, 1].
        initial_interval: B before anything was seen, in steps.

    Raises:
        UsageError: numbers out of range.
    """

    def __init__(self, num_buckets: int = 2**20, rate: float = 0.05, initial_interval: float = 100.0, **kwargs):
        super().__init__(**{"trainable": False} | kwargs)
        if num_buckets < 1 or not 0.0 < rate <= 1.0 or initial_interval < 1.0:
            raise UsageError(
                "need num_buckets ≥ 1, 0 < rate ≤ 1 and initial_interval ≥ 1, got "
                f"{num_buckets}, {rate} and {initial_interval}"
            )
        self.num_buckets = num_buckets
        self.rate = rate
        self.initial_interval = initial_interval
        options = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        constant = tf.keras.initializers.Constant
        self.step = self.add_weight(name="step", shape=[], dtype=tf.int64, initializer="zeros", **options)
        # -1: never seen
        self.last = self.add_weight(
            name="last", shape=[num_buckets], dtype=tf.int64, initializer=constant(-1), **options
        )
        self.interval = self.add_weight(
            name="interval",
            shape=[num_buckets],
            dtype=tf.float32,
            initializer=constant(initial_interval),
            experimental_autocast=False,
            **options,
        )

    def call(self, rows: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Candidates' rows int `[n]`, -1 for padding -> log of their chance, float32 `[n]`.

        In training the estimate is updated first. Under `tf.distribute` every replica must be given the candidates of
        all replicas.
        """
        bucket = tf.maximum(rows, 0) % self.num_buckets
        if training:
            self._update(bucket, rows >= 0)
        return -tf.math.log(tf.maximum(tf.gather(self.interval, bucket), 1.0))

    def _update(self, bucket: tf.Tensor, valid: tf.Tensor) -> None:
        now = self.step + 1
        # the same candidates in the same order on every replica, whichever stands first there
        seen, _ = tf.unique(tf.sort(tf.boolean_mask(bucket, valid)))
        last, interval = tf.gather(self.last, seen), tf.gather(self.interval, seen)
        passed = tf.cast(now - last, tf.float32)
        moved = tf.where(last < 0, interval, (1.0 - self.rate) * interval + self.rate * passed)
        new_interval = tf.tensor_scatter_nd_update(self.interval, seen[:, None], moved)
        new_last = tf.tensor_scatter_nd_update(self.last, seen[:, None], tf.fill(tf.shape(seen), now))
        self.interval.assign(new_interval)
        self.last.assign(new_last)
        self.step.assign(now)

    def get_config(self):
        return super().get_config() | {
            "num_buckets": self.num_buckets,
            "rate": self.rate,
            "initial_interval": self.initial_interval,
        }
