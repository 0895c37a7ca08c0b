"""Keeps the table that histories read, under the sampled softmax."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.embedding import Embedder
from tfmmrec.types import UsageError


class RefreshHistory(tf.keras.callbacks.Callback):
    """Fills the model's history table with the candidate tower's output every so many steps, without gradient.

    Args:
        embedder: embeds all candidates with the model as it is.
        every_steps: how often; the table is also filled before the first step. A resumed training goes on with the
            table of its checkpoint.
    """

    def __init__(self, embedder: Embedder, every_steps: int = 200):
        super().__init__()
        if every_steps < 1:
            raise UsageError(f"every_steps must be at least 1, got {every_steps}")
        self.embedder = embedder
        self.every_steps = every_steps

    def on_train_begin(self, logs=None):
        if self._num_steps() == 0:
            self.refresh()

    def on_train_batch_end(self, batch, logs=None):
        if self._num_steps() % self.every_steps == 0:
            self.refresh()

    def _num_steps(self) -> int:
        return int(self.model.optimizer.iterations.numpy())

    def refresh(self) -> None:
        """Fills the table now."""
        if self.model.history_table is not None:
            self.model.history_table.assign(self.embedder.candidates())
