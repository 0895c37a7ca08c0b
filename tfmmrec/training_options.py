"""How a model is trained, as a run records it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tfmmrec.metrics.ranking import RANKING_METRICS
from tfmmrec.types import UsageError
from tfmmrec.zoo import ZOO


class TrainingOptions(BaseModel):
    """How a model is trained; the model's own hyperparameters are apart.

    Attributes:
        epochs: at most so many; fewer when the validation metric no longer rises.
        steps_per_epoch: updates between two validations and checkpoints, for a log whose pass is long; the next epoch
            goes on where one ended. A pass through the interactions when None.
        batch_size: rows in a global batch: queries for the multinomial loss, interactions else. With parameter servers
            of a step, which one worker takes.
        accumulate_steps: a step averages the gradients of so many batches and updates the weights once (gradient
            accumulation); what a loss compares within a batch, such as its negatives, stays within each. Rates and all
            other options count such steps, and an epoch has as many whole ones as fit in a pass; the rest of its
            batches open the next. The first step takes longer the more batches there are.
        optimizer: adam, or lazy_adam, which leaves the rows of tables alone that a batch does not have: for catalogues
            whose tables take longer to update than the batch to compute (docs/scale.md).
        learning_rate: of AdamW (Loshchilov & Hutter 2019).
        decay_steps: the learning rate falls as 1 / (1 + step / decay_steps); None for a constant one.
        warmup_steps: the learning rate rises over so many steps first.
        weight_decay: of AdamW, decoupled; not on biases and norms.
        encoder_learning_rate: the learning rate, in its place, of the last layer of fine-tuned pretrained encoders.
        encoder_layer_decay: each of their layers has so many times the rate of the one behind it.
        encoder_layers: only so many of their last layers are trained; all when None.
        unfreeze_every: epochs after which one more of their layers is trained, the last first; 0: all from the start.
        clip_norm: gradients are scaled down to this global norm; None for no clipping.
        seed: of weights, batches, histories, dropout.
        strategy: auto, cpu, mirrored, multiworker, parameter_server or tpu, see `make_strategy`.
        shard_bytes: parameter servers hold matrices of more bytes in parts, at most one for each server.
        mixed_precision: none, float16 or bfloat16.
        patience: validations without a new best before the fit stops.
        monitor: the validation metric.
        validate_every: epochs between validations.
        validation_share: of each query's interactions, held out where the dataset has no validation part.
        refit: train again on all of train for the chosen number of epochs, where validation data were held out of it; a
            validation part of the dataset's own is not trained on.
        deterministic: the same numbers to the last digit in every run, at some cost in speed.
        image_steps: steps of the own training of each small network for pictures, sounds or videos.
        store_dtype: float32, or float16 for half of the disk: what the feature store keeps of pretrained encoders.
        refresh_steps: steps between two refreshes of the history table (sampled softmax).
        mine_every: steps between two minings of negatives, where they are mined.
        save_seconds: at least so many seconds between two checkpoints.
        tensorboard: write TensorBoard logs to RUN/tensorboard.
    """

    model_config = ConfigDict(extra="forbid")

    epochs: int = Field(default=100, ge=1)
    steps_per_epoch: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=512, ge=1)
    accumulate_steps: int = Field(default=1, ge=1)
    optimizer: Literal["adam", "lazy_adam"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0)
    decay_steps: int | None = Field(default=None, ge=1)
    warmup_steps: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    encoder_learning_rate: float = Field(default=5e-5, gt=0)
    encoder_layer_decay: float = Field(default=1.0, gt=0, le=1)
    encoder_layers: int | None = Field(default=None, ge=1)
    unfreeze_every: int = Field(default=0, ge=0)
    clip_norm: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0)
    strategy: Literal["auto", "cpu", "mirrored", "multiworker", "parameter_server", "tpu"] = "auto"
    shard_bytes: int = Field(default=256 * 1024, ge=1)
    mixed_precision: Literal["none", "float16", "bfloat16"] = "none"
    patience: int = Field(default=5, ge=1)
    monitor: str = "val_ndcg@20"
    validate_every: int = Field(default=1, ge=1)
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    refit: bool = True
    deterministic: bool = False
    image_steps: int = Field(default=600, ge=0)
    store_dtype: Literal["float32", "float16"] = "float32"
    refresh_steps: int = Field(default=200, ge=1)
    mine_every: int = Field(default=500, ge=1)
    save_seconds: float = Field(default=10.0, ge=0)
    tensorboard: bool = False


def options_of(
    model: str,
    hyperparameters: Mapping[str, Any],
    given: TrainingOptions | Mapping[str, Any] | None = None,
    num_candidates: int = 0,
) -> TrainingOptions:
    """How a model is trained.

    Args:
        model: a name of the zoo.
        hyperparameters: of the model; the zoo's options may go by them.
        given: all options; or, by name, those that differ from the zoo's for this model.
        num_candidates: of the dataset; the zoo's options may go by it too.
    """
    if isinstance(given, TrainingOptions):
        return given
    return TrainingOptions(**(ZOO[model].training_of(hyperparameters, num_candidates) | dict(given or {})))


def check_monitor(monitor: str, callbacks: Sequence[Any] = (), k: int = 20) -> None:
    """Refuses a metric that no validation has, unless there are callbacks that may bring metrics of their own.

    Raises:
        UsageError: it is none of them.
    """
    known = [f"val_{name}@{k}" for name in RANKING_METRICS]
    if monitor not in known and not callbacks:
        raise UsageError(f"monitor must be one of {', '.join(known)}, got {monitor!r}")
