"""The optimizer of a training, by its options."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.layerwise_adam import Layer, LayerwiseAdam, Warmup, finetuned_layers
from tfmmrec.training_options import TrainingOptions

NOT_DECAYED = ["bias", "gamma", "beta", "log_variances"]
"""Names, or parts of them, of what no weight decay is for: biases, norms, weights of tasks."""


def make_optimizer(model: tf.keras.Model, options: TrainingOptions, steps_per_epoch: int) -> LayerwiseAdam:
    """AdamW as the options say; pretrained encoders that are fine-tuned have rates of their own.

    Rates are functions of the step: a refit, and a resumed training, follow them too.

    Args:
        model: built.
        options: of the training.
        steps_per_epoch: of its stream, for what the options count in epochs.
    """
    rate = options.learning_rate
    if options.decay_steps is not None:
        rate = tf.keras.optimizers.schedules.InverseTimeDecay(rate, options.decay_steps, decay_rate=1.0)
    if options.warmup_steps:
        rate = Warmup(rate, options.warmup_steps)
    optimizer = LayerwiseAdam(
        rate,
        _layers(model, options, steps_per_epoch),
        weight_decay=options.weight_decay or None,
        global_clipnorm=options.clip_norm,
    )
    if options.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


def _layers(model: tf.keras.Model, options: TrainingOptions, steps_per_epoch: int) -> list[Layer]:
    found = []
    for part in model.submodules:
        if isinstance(part, Encoder) and part.handle is not None and part.mode == "finetuned":
            found += finetuned_layers(
                part.layers,
                options.encoder_learning_rate / options.learning_rate,
                options.encoder_layer_decay,
                options.encoder_layers,
                options.unfreeze_every * steps_per_epoch,
            )
    return found
