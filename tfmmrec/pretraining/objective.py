"""What an encoder is pretrained for: a loss of contents alone."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.pretraining.trainable_encoder import Tensors, TrainableEncoder


class Objective:
    """A loss of a batch of contents, with what is trained along and dropped.

    Args:
        encoders: by feature, what is trained.

    Attributes:
        kinds: of the features, in order.
        own_options: names of the pretraining's options that this objective reads and not every other does.
        head: weights that are trained along.
    """

    kinds: tuple[str, ...] = ()
    own_options: tuple[str, ...] = ()

    def __init__(self, encoders: Mapping[str, TrainableEncoder]):
        self.encoders = dict(encoders)
        self.head: list[tf.Variable] = []

    def preprocess(self, feature: str, raw: tf.Tensor) -> Tensors:
        """A feature's raw batch `[batch]` -> numeric tensors, and perhaps `usable`, bool `[batch]`."""
        return self.encoders[feature].preprocess(raw)

    def loss(self, inputs: Mapping[str, Tensors], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The loss of a batch, and the share of what it asks for that was found.

        Args:
            inputs: feature -> tensors `[batch, ...]`.
            seed: int32 `[2]`: the same seed and weights give the same loss.

        Returns:
            Two scalars.
        """
        raise NotImplementedError(f"{type(self).__name__} has no loss")

    def chance(self, batch_size: int) -> float:
        """The loss of who guesses evenly."""
        raise NotImplementedError(f"{type(self).__name__} does not say what guessing costs")
