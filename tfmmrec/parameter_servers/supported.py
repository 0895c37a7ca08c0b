"""Which trainings can have parameter servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tensorflow as tf

from tfmmrec.encoders.composed_identifier import ComposedIdentifier
from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.tpu_identifier import TpuIdentifier
from tfmmrec.losses.streaming_frequency import StreamingFrequency
from tfmmrec.models.content_reference import has_graphs
from tfmmrec.models.in_batch_losses import IN_BATCH_LOSSES
from tfmmrec.training_options import TrainingOptions
from tfmmrec.types import UsageError

MODELS = ("two_tower", "id_only", "content_only", "history_only")


def check_supported(
    name: str, model: tf.keras.Model, options: TrainingOptions, callbacks: Sequence[tf.keras.callbacks.Callback] = ()
) -> None:
    """Refuses what workers that step by themselves cannot do, all at once.

    Args:
        name: of the model, in the zoo.
        model: built.
        options: of the training.
        callbacks: the user's.

    Raises:
        UsageError: it says of each what to do.
    """
    found = [*_of_model(name, model), *_of_recurrence(model, options), *_of_options(options)]
    found += [
        f"{type(callback).__name__} has hooks of batches, and here only epochs have; leave it out"
        for callback in callbacks
        if callback._implements_train_batch_hooks()
    ]
    _refuse(found)


def check_settings(name: str, options: TrainingOptions, loss: str | None = None) -> None:
    """What of `check_supported` can be told from the settings alone, before the processes have met.

    Args:
        name: of the model, in the zoo.
        options: of the training.
        loss: as it was set; None where the model's own is taken, which may go by the catalogue.

    Raises:
        UsageError: as `check_supported`.
    """
    found = [*_of_name(name), *_of_options(options)]
    if name in MODELS and loss is not None and loss != "auto":
        found += _of_loss(loss)
    _refuse(found)


def _of_model(name: str, model: tf.keras.Model) -> Iterator[str]:
    if name not in MODELS:
        yield from _of_name(name)
        return
    yield from _of_loss(model.loss_name)
    if model.negatives.kind == "mined":
        yield "mined negatives are looked for between steps: set negatives=mixed"
    if has_graphs(model.candidate_tower):
        yield "fusion=graph and the like read the whole catalogue: take another fusion"
    if model.candidate_tower.alignments:
        yield "alignments are not made for steps without order: leave alignment out"
    if any(isinstance(part, StreamingFrequency) for part in model.submodules):
        yield "frequencies of a stream are counted in order: set count_frequencies=true"
    if any(isinstance(part, ComposedIdentifier) for part in model.submodules):
        yield "ids that share rows are not made for tables in parts: set identifier=table"
    if any(isinstance(part, TpuIdentifier) for part in model.submodules):
        yield "TPUEmbedding's tables have no parts: set identifier=table"
    for part in model.submodules:
        if isinstance(part, Encoder) and part.handle is not None and part.mode != "cached":
            yield f"the pretrained encoder {part.name!r} would be read from the servers in every step: set mode cached"


def _of_name(name: str) -> Iterator[str]:
    if name not in MODELS:
        yield f"{name} is no model for it: take {', '.join(MODELS)}"


def _of_loss(loss: str) -> Iterator[str]:
    if loss not in IN_BATCH_LOSSES:
        yield f"the loss {loss} embeds all candidates in every step: set loss=sampled_softmax (bpr, hinge)"


def _refuse(found: Sequence[str]) -> None:
    if found:
        raise UsageError("strategy parameter_server cannot train this: " + "; ".join(found))


def _of_recurrence(model: tf.keras.Model, options: TrainingOptions) -> Iterator[str]:
    layers = [part for part in model.submodules if isinstance(part, tf.keras.layers.RNN)]
    largest = max((4 * weight.shape.num_elements() for layer in layers for weight in layer.weights), default=0)
    if largest > options.shard_bytes:
        yield (
            f"a gru or lstm is not made for matrices in parts, and its largest has {largest} bytes: set "
            f"shard_bytes={largest} or more, or history_encoder=transformer"
        )


def _of_options(options: TrainingOptions) -> Iterator[str]:
    if options.accumulate_steps > 1:
        yield "accumulate_steps has no use where every worker steps by itself: leave it out"
    if options.mixed_precision != "none":
        yield "Keras reads whole weights alone in 16 bits, and none in parts: set mixed_precision=none"
    if options.deterministic:
        yield "steps come in no fixed order: leave deterministic out"
    if options.tensorboard:
        yield "TensorBoard's logs are not written: leave tensorboard out"
    if options.refresh_steps != TrainingOptions.model_fields["refresh_steps"].default:
        yield "the history table is refreshed after every epoch: set steps_per_epoch in refresh_steps' place"
