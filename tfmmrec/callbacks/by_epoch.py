"""Callbacks of steps, for a training that has no hooks of them: parameter servers' steps come in no order."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.callbacks.progress_bar import ProgressBar
from tfmmrec.callbacks.refresh_history import RefreshHistory


class RefreshByEpoch(tf.keras.callbacks.Callback):
    """Fills the history table before the first step and after every epoch; a resumed training has its checkpoint's.

    Args:
        refresh: does it.
    """

    def __init__(self, refresh: RefreshHistory):
        super().__init__()
        self.refresh = refresh

    def on_train_begin(self, logs=None):
        self.refresh.set_model(self.model)
        self.refresh.on_train_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.refresh.refresh()


class ProgressByEpoch(tf.keras.callbacks.Callback):
    """Moves a progress bar on by an epoch at a time.

    Args:
        bar: the bar.
        steps_per_epoch: of the fit.
    """

    def __init__(self, bar: ProgressBar, steps_per_epoch: int):
        super().__init__()
        self.bar = bar
        self.steps_per_epoch = steps_per_epoch

    def on_train_begin(self, logs=None):
        self.bar.on_train_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.bar.advance(self.steps_per_epoch, logs)
        self.bar.on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        self.bar.on_train_end(logs)
