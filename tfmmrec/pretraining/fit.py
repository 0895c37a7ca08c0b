"""Training for an objective: batches of contents, early stopping on those held out, the best weights kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfmmrec.embedding import Progress
from tfmmrec.layerwise_adam import LayerwiseAdam, Warmup, finetuned_layers
from tfmmrec.optimizers import NOT_DECAYED
from tfmmrec.pretraining.contents import LEAST, Contents
from tfmmrec.pretraining.objective import Objective
from tfmmrec.pretraining.pretraining_options import PretrainingOptions
from tfmmrec.types import UsageError

_LEAST_HELD_OUT = LEAST // 4


@dataclass(frozen=True)
class Epoch:
    """What was measured after an epoch; number 0 is before the first.

    Attributes:
        number: of the epoch.
        train_loss: mean over its steps, None before the first.
        valid_loss: over the contents held out, changed alike each time.
        valid_accuracy: share of what the objective asks for there that was found.
    """

    number: int
    train_loss: float | None
    valid_loss: float
    valid_accuracy: float


@dataclass(frozen=True)
class Fitted:
    """What a training came to.

    Attributes:
        epochs: all of them, that before the first included.
        best: whose weights the encoders have now.
        num_train: contents learned from.
        num_valid: contents held out.
        chance: the loss of who guesses evenly.
    """

    epochs: list[Epoch]
    best: Epoch
    num_train: int
    num_valid: int
    chance: float


def fit(
    objective: Objective,
    contents: Contents,
    options: PretrainingOptions,
    learning_rates: Mapping[str, float],
    progress: Progress | None = None,
    told: Callable[[Epoch], None] | None = None,
) -> Fitted:
    """Trains an objective's encoders and leaves them with the weights of the epoch of least validation loss.

    Where no epoch is better than the beginning, these are the weights that they came with.

    Args:
        objective: of these contents.
        contents: what is learned from.
        options: how.
        learning_rates: by feature, of its encoder's last layer.
        progress: told which of an epoch's steps are done.
        told: each epoch, as it ends.

    Raises:
        UsageError: the loss is no number any more, or no weight gets a gradient.
    """
    order = np.random.default_rng(options.seed).permutation(len(contents))
    num_valid = min(max(round(options.validation_share * len(contents)), _LEAST_HELD_OUT), len(contents) // 2)
    valid, train = np.sort(order[:num_valid]), np.sort(order[num_valid:])
    batch_size = min(options.batch_size, len(train))
    steps = len(train) // batch_size
    step = _Step(objective, options, learning_rates, steps * options.epochs)
    measure = _Measure(objective, contents, valid, options)
    epochs = [Epoch(0, None, *measure())]
    best, kept = epochs[0], [weight.numpy() for weight in step.weights]
    for number in range(1, options.epochs + 1):
        losses = []
        shuffled = np.random.default_rng([options.seed, number]).permutation(train)
        for i in range(steps):
            rows = np.sort(shuffled[i * batch_size : (i + 1) * batch_size])
            losses.append(step(contents.batch(rows)))
            if progress is not None:
                progress(f"epoch {number}", i + 1, steps)
        epochs.append(Epoch(number, float(np.mean([float(loss) for loss in losses])), *measure()))
        if not math.isfinite(epochs[-1].train_loss) or not math.isfinite(epochs[-1].valid_loss):
            raise UsageError(f"the loss is no number any more in epoch {number}; lower the learning rate")
        if told is not None:
            told(epochs[-1])
        if epochs[-1].valid_loss < best.valid_loss:
            best, kept = epochs[-1], [weight.numpy() for weight in step.weights]
        elif number - best.number >= options.patience:
            break
    for weight, value in zip(step.weights, kept, strict=True):
        weight.assign(value)
    return Fitted(epochs, best, len(train), len(valid), objective.chance(measure.batch_size))


class _Step:
    # one step of AdamW on a batch, as a graph

    def __init__(self, objective: Objective, options: PretrainingOptions, rates: Mapping[str, float], num_steps: int):
        self.weights = [*(w for encoder in objective.encoders.values() for w in encoder.trainable), *objective.head]
        rate = tf.keras.optimizers.schedules.CosineDecay(options.head_learning_rate, num_steps)
        if warmup := int(options.warmup_share * num_steps):
            rate = Warmup(rate, warmup)
        layers = []
        for feature, encoder in objective.encoders.items():
            factor = rates[feature] / options.head_learning_rate
            layers += finetuned_layers(encoder.layers, factor, options.layer_decay, options.layers)
        optimizer = LayerwiseAdam(
            rate, layers, weight_decay=options.weight_decay or None, global_clipnorm=options.clip_norm
        )
        if options.weight_decay:
            optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
        optimizer.build(self.weights)
        encoders = {w.ref() for encoder in objective.encoders.values() for w in encoder.trainable}

        @tf.function(reduce_retracing=True, autograph=False)  # so that errors come out as they are
        def run(inputs, seed):
            with tf.GradientTape() as tape:
                loss, _ = objective.loss(inputs, seed)
            gradients = tape.gradient(loss, self.weights)
            pairs = [pair for pair in zip(gradients, self.weights, strict=True) if pair[0] is not None]
            if not any(weight.ref() in encoders for _, weight in pairs):
                raise UsageError("no gradient reaches the encoder's weights: pretraining would leave it as it is")
            optimizer.apply_gradients(pairs)
            return loss

        self._run, self._seed, self._done = run, options.seed, 0

    def __call__(self, inputs) -> tf.Tensor:
        self._done += 1
        return self._run(inputs, tf.constant([self._seed, self._done], tf.int32))


class _Measure:
    # the loss of what is held out, in batches of one size, with the same masks and changes each time

    def __init__(self, objective: Objective, contents: Contents, rows: np.ndarray, options: PretrainingOptions):
        num_batches = max(1, min(math.ceil(len(rows) / options.batch_size), len(rows) // 2))  # of one there is no pair
        self.batch_size = len(rows) // num_batches
        self._parts = np.random.default_rng([options.seed, 0]).permutation(rows)[: num_batches * self.batch_size]
        self._parts = self._parts.reshape(num_batches, self.batch_size)
        self._contents, self._seed = contents, options.seed
        self._loss = tf.function(objective.loss, reduce_retracing=True, autograph=False)

    def __call__(self) -> tuple[float, float]:
        found = [
            [float(value) for value in self._loss(self._contents.batch(rows), tf.constant([self._seed, -1 - number]))]
            for number, rows in enumerate(self._parts)
        ]
        loss, accuracy = np.mean(found, axis=0)
        return float(loss), float(accuracy)
