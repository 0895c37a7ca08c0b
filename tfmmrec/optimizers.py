"""The optimizer of a training, by its options."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.layerwise_adam import Layer, LayerwiseAdam, Warmup, finetuned_layers
from tfmmrec.training_options import TrainingOptions
from tfmmrec.types import UsageError

NOT_DECAYED = ["bias", "gamma", "beta", "log_variances"]
"""Names, or parts of them, of what no weight decay is for: biases, norms, weights of tasks."""


_OF_FINETUNED = ("encoder_learning_rate", "encoder_layer_decay", "encoder_layers", "unfreeze_every")


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
        lazy=options.optimizer == "lazy_adam",
        weight_decay=options.weight_decay or None,
        global_clipnorm=options.clip_norm,
    )
    if options.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


def check_optimizer(options: TrainingOptions, is_on_tpu: bool) -> None:
    """Refuses an optimizer that cannot be compiled for the device.

    Raises:
        UsageError: it says which to take.
    """
    if is_on_tpu and options.optimizer == "lazy_adam":
        raise UsageError("optimizer=lazy_adam reads which rows a batch has, a TPU cannot: take optimizer=adam")


def check_encoder_options(model: tf.keras.Model, options: TrainingOptions) -> None:
    """Refuses options of fine-tuning where no pretrained encoder is fine-tuned, and more layers than it has.

    Raises:
        UsageError: it names the option.
    """
    tuned = [p for p in model.submodules if isinstance(p, Encoder) and p.handle is not None and p.mode == "finetuned"]
    for name in _OF_FINETUNED:
        if not tuned and getattr(options, name) != TrainingOptions.model_fields[name].default:
            raise UsageError(
                f"{name} says how a pretrained encoder is fine-tuned, but the model has none that is; set "
                f"pretrained={{FEATURE: DIR}} and pretrained_mode=finetuned, or leave it out"
            )
    most = max((len(encoder.layers) for encoder in tuned), default=0)
    if tuned and options.encoder_layers is not None and options.encoder_layers > most:
        raise UsageError(f"encoder_layers must lie in 1 to {most}, which is all of them, got {options.encoder_layers}")


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
