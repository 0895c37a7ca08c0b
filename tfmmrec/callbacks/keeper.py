"""Keeps a training: checkpoints, the history of its metrics, early stopping, resume."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfmmrec.types import UsageError
from tfmmrec.workers import Workers


class _KeptState(tf.train.experimental.PythonState):
    """Plain values that are saved in the same file as the weights, so that both are always of one moment."""

    def __init__(self):
        self.values: dict = {"epoch": 0, "rows": [], "best": None, "best_epoch": 0}
        self.values |= {"finished": False, "callbacks": []}

    def serialize(self) -> str:
        return json.dumps(self.values)

    def deserialize(self, string_value: str) -> None:
        self.values = json.loads(string_value)


class Keeper(tf.keras.callbacks.Callback):
    """Saves where a phase of a training stands, and stops it when the validation metric no longer rises.

    Everything a resumed fit needs is in one checkpoint: weights, optimizer, counts of random draws, epoch, metrics so
    far, the plain attributes of the other callbacks. The batches follow from the step number.

    Args:
        folder: where the checkpoints go.
        monitor: the metric of the logs that is to rise; None to keep no best.
        patience: validations without a new best after which the fit stops; None for never.
        others: the user's callbacks, whose state is kept too.
        save_seconds: at least so many seconds between two checkpoints.
        keep_best: also keep the weights of the best epoch, see `best_weights`.
        workers: the processes that train together. All begin with the chief's weights and go by its metrics and its
            clock; a checkpoint takes all of them, and each but the chief throws its copy away at the end.

    Raises:
        FloatingPointError: the loss or the monitored metric is no longer finite.
        UsageError: there are validation metrics, but not the one that is to be monitored.
    """

    def __init__(
        self,
        folder: Path,
        monitor: str | None = None,
        patience: int | None = None,
        others: Sequence[tf.keras.callbacks.Callback] = (),
        save_seconds: float = 10.0,
        keep_best: bool = False,
        workers: Workers | None = None,
    ):
        super().__init__()
        self.folder = Path(folder)
        self.workers = workers or Workers(tf.distribute.get_strategy())
        self._own = self.folder if self.workers.is_chief else self.folder / f"worker-{self.workers.index}"
        self.monitor = monitor
        self.patience = patience
        self.others = list(others)
        self.save_seconds = save_seconds
        self.keep_best = keep_best
        self._state = _KeptState()
        self._last_save = time.monotonic()
        self._started = time.monotonic()

    def attach(self, model: tf.keras.Model, resume: bool) -> int:
        """Binds the compiled and built model; with `resume` restores the newest checkpoint, if there is one.

        Returns:
            The epoch to begin with.
        """
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, state=self._state)
        newest = tf.train.latest_checkpoint(str(self.folder)) if resume else None
        self._manager = tf.train.CheckpointManager(checkpoint, str(self._own), max_to_keep=2)
        if newest:
            checkpoint.restore(newest).assert_existing_objects_matched()
        return self._state.values["epoch"]

    @property
    def rows(self) -> list[dict]:
        """One dict for each epoch: epoch from 1, loss, metrics, seconds."""
        return self._state.values["rows"]

    @property
    def best_epoch(self) -> int:
        """The epoch (from 1) with the best monitored metric; the last one without a monitor."""
        return self._state.values["best_epoch"] or self._state.values["epoch"]

    @property
    def stopped(self) -> bool:
        """Whether the metric has not risen for `patience` validations."""
        values = self._state.values
        if self.patience is None or values["best"] is None:
            return False
        validated = [row["epoch"] for row in self.rows if self.monitor in row]
        return sum(epoch > values["best_epoch"] for epoch in validated) >= self.patience

    @property
    def finished(self) -> bool:
        """Whether the fit was stopped, by this or by another callback."""
        return self._state.values["finished"]

    def on_train_begin(self, logs=None):
        self._started = time.monotonic()
        set_plain_states(self.others, self._state.values["callbacks"])
        self.workers.synchronise(self.model.variables)

    def on_epoch_end(self, epoch, logs=None):
        values, logs = self._state.values, logs or {}
        row = {"epoch": epoch + 1, "seconds": round(time.monotonic() - self._started, 3)}
        due = time.monotonic() - self._last_save >= self.save_seconds
        due, stops, *metrics = self.workers.agree([due, self.model.stop_training, *map(float, logs.values())])
        row |= dict(zip(logs, map(float, metrics), strict=True))
        self.model.stop_training = bool(stops)
        self._started = time.monotonic()
        values["rows"].append(row)
        values["epoch"] = epoch + 1
        self._check(row)
        value = row.get(self.monitor) if self.monitor else None
        if value is not None and (values["best"] is None or value > values["best"]):
            values["best"], values["best_epoch"] = value, epoch + 1
            self._write_best()
        if self.stopped:
            self.model.stop_training = True
        values["finished"] = bool(self.model.stop_training)
        if due:
            self.save()

    def _check(self, row: dict) -> None:
        for name in ("loss", self.monitor):
            if not np.isfinite(row.get(name, 0.0)):
                raise FloatingPointError(f"{name} became {row[name]} in epoch {row['epoch']}; lower the learning rate")
        validated = [name for name in row if name.startswith("val_")]
        if self.monitor and validated and self.monitor not in row:
            raise UsageError(f"monitor must be one of {', '.join(validated)}, got {self.monitor!r}")

    def save(self) -> None:
        """Writes a checkpoint now."""
        self._state.values["callbacks"] = plain_states(self.others)
        self._manager.save()
        self._last_save = time.monotonic()
        kept = Path(best_weights(self._own, self.best_epoch)).name
        for path in self._own.glob("best-*"):  # a resumed fit may go back to the best of this checkpoint, not before
            if path.name.split(".")[0] != kept:
                path.unlink()

    def on_train_end(self, logs=None):
        if not self._state.values["best_epoch"]:
            self._write_best()
        self.save()
        if not self.workers.is_chief:
            shutil.rmtree(self._own, ignore_errors=True)
        self.workers.wait()  # for what the chief writes

    def _write_best(self) -> None:
        if self.keep_best:
            tf.train.Checkpoint(model=self.model).write(best_weights(self._own, self.best_epoch))


def best_weights(folder: Path, epoch: int) -> str:
    """Where the weights of the best epoch (from 1) are kept in a keeper's folder."""
    return str(folder / f"best-{epoch}")


def plain_states(callbacks: Sequence[tf.keras.callbacks.Callback]) -> list[dict]:
    """The attributes of each callback that are plain numbers, strings or truth values."""
    return [_plain(callback) for callback in callbacks]


def set_plain_states(callbacks: Sequence[tf.keras.callbacks.Callback], states: Sequence[dict]) -> None:
    """Gives callbacks the attributes that `plain_states` took."""
    for callback, values in zip(callbacks, states, strict=False):
        vars(callback).update(values)


def _plain(callback: tf.keras.callbacks.Callback) -> dict:
    plain = {}
    for name, value in vars(callback).items():
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool | int | float | str) and not name.startswith("__"):
            plain[name] = value
    return plain
