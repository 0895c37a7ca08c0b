"""A progress bar with examples a second and the time left."""

from __future__ import annotations

import time

import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressBar(tf.keras.callbacks.Callback):
    """One line for a fit, on standard error; without a terminal a line every ten seconds at most.

    Args:
        title: stands before the bar.
        batch_size: rows in a global batch, for examples a second.
        num_steps: steps from the first epoch to the last.
        first_step: steps done before, by the run that this one resumes.
    """

    def __init__(self, title: str, batch_size: int, num_steps: int, first_step: int = 0):
        super().__init__()
        self.batch_size = batch_size
        self.num_steps = num_steps
        self.first_step = first_step
        self.title = title
        self._console = Console(stderr=True)

    def on_train_begin(self, logs=None):
        self._steps, self._note = self.first_step, ""
        self._started = self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[note]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(self.title, total=self.num_steps, completed=self.first_step, note="")
        self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        self.advance(1, logs)

    def advance(self, num_steps: int, logs=None) -> None:
        """So many more steps are done."""
        self._steps += num_steps
        self._bar.update(self._task, completed=self._steps, note=self._text(logs))

    def on_epoch_end(self, epoch, logs=None):
        shown = ("val_recall@", "val_ndcg@")  # one line has no room for more
        values = [f"{name[4:]} {value:.4f}" for name, value in (logs or {}).items() if name.startswith(shown)]
        self._note = "  ".join(values) or self._note
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line >= 10.0:
            self._last_line = now
            left = (self.num_steps - self._steps) * (now - self._started) / max(self._steps - self.first_step, 1)
            self._print(f"{self.title}: epoch {epoch + 1}  {self._text(logs)}  at most {left:.0f} s left")

    def on_train_end(self, logs=None):
        self._bar.stop()
        self._print(f"{self.title}: {self._text(logs)}, {time.monotonic() - self._started:.0f} s")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _text(self, logs) -> str:
        seconds = max(time.monotonic() - self._started, 1e-9)
        rate = (self._steps - self.first_step) * self.batch_size / seconds
        logs = logs or {}
        tasks = [f"{name[:-5]} {value:.4f}" for name, value in logs.items() if name.endswith("_loss")]  # where several
        loss = " ".join([f"loss {logs.get('loss', float('nan')):.4f}", *([f"({', '.join(tasks)})"] if tasks else [])])
        return f"{loss}  {self._note}  {rate:,.0f} examples/s"
