"""A line on standard error for work outside of fit: preprocessing, encoding, the image network."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class StageBar:
    """Called with (what, done, total); shows a bar for stages of more than two seconds, on a terminal only."""

    def __init__(self):
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._what:
            self._close()
            self._what, self._started = what, time.monotonic()
        if self._bar is None and done < total and time.monotonic() - self._started > 2.0:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                console=self._console, transient=True, disable=not self._console.is_terminal,
            )  # fmt: skip
            self._task = self._bar.add_task(what, total=total)
            self._bar.start()
        if self._bar is not None:
            self._bar.update(self._task, completed=done)
        if done >= total:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._what = None, ""
