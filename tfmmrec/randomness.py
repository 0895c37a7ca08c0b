"""Random numbers that a checkpoint remembers.

TensorFlow's stateful random ops keep their state in the running kernel: a resumed run would draw other numbers.
Here every draw is a stateless function of (seed, how many draws before, replica), and the count is a variable that
is saved with the weights (tensorflow.org/guide/random_numbers, "Stateless RNGs").
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmmrec.types import UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class RandomDraws(tf.keras.layers.Layer):
    """A stream of uniform numbers.

    Args:
        seed: of the stream; drawn from NumPy's global state when None, which `tf.keras.utils.set_random_seed` sets.
    """

    def __init__(self, seed: int | None = None, **kwargs):
        super().__init__(**{"trainable": False} | kwargs)
        self.seed = int(np.random.randint(2**31)) if seed is None else seed
        self.count = self.add_weight(
            name="count",
            shape=[],
            dtype=tf.int64,
            initializer="zeros",
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def call(self, shape: tf.Tensor, shared: bool = False) -> tf.Tensor:
        """A shape -> float32 numbers in [0, 1); each replica has its own unless they are `shared`."""
        return tf.random.stateless_uniform(shape, self.next_seed(shared))

    def next_seed(self, shared: bool = False) -> tf.Tensor:
        """int64 `[2]`, the seed of the next draw for a stateless op; the same on every replica if it is `shared`."""
        count = tf.identity(self.count)
        with tf.control_dependencies([count]):
            self.count.assign_add(1)
        replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
        replica = tf.zeros_like(replica) if shared else replica
        return tf.stack([tf.constant(self.seed, tf.int64), count * 65_536 + replica])

    def get_config(self):
        return super().get_config() | {"seed": self.seed}


@tf.keras.utils.register_keras_serializable("tfmmrec")
class Dropout(tf.keras.layers.Layer):
    """Dropout (Srivastava et al. 2014) whose masks a checkpoint remembers.

    Args:
        rate: share of the entries set to zero in training, in [0, 1); the others are scaled by 1 / (1 − rate).
        seed: of the masks, see `RandomDraws`.
        shared: the same mask on every replica, for what all of them compute alike, as a whole catalogue's content is;
            a share of a batch has its own.
    """

    def __init__(self, rate: float, seed: int | None = None, shared: bool = False, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 <= rate < 1.0:
            raise UsageError(f"dropout must lie in [0, 1), got {rate}")
        self.rate = rate
        self.shared = shared
        self.draws = RandomDraws(seed, name="draws")

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not training or self.rate == 0.0:
            return inputs
        kept = self.draws(tf.shape(inputs), shared=self.shared) >= self.rate
        return tf.where(kept, inputs / (1.0 - self.rate), tf.zeros_like(inputs))

    def get_config(self):
        return super().get_config() | {"rate": self.rate, "seed": self.draws.seed, "shared": self.shared}
