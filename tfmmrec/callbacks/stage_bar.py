"""A line on standard error for work outside of fit: preprocessing, encoding, the image network."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_FIRST_LINE_SECONDS = 5.0
_LINE_SECONDS = 15.0


class StageBar:
    """Called with (what, done, total); shows a bar for stages of more than two seconds.

    Without a terminal it is a line once a stage has lasted more than five seconds, and another about every fifteen. A
    stage whose progress nobody can tell has a total of 0 and is a line when it begins.
    """

    def __init__(self):
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._close()
            self._what, self._started, self._next_line = what, now, now + _FIRST_LINE_SECONDS
            if not total:
                self._console.print(f"{what} ...", markup=False, highlight=False, soft_wrap=True)
        if done < total and self._console.is_terminal and self._bar is None and now - self._started > 2.0:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                console=self._console, transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task(what, total=total)
            self._bar.start()
        if self._bar is not None:
            self._bar.update(self._task, completed=done)
        if done < total and not self._console.is_terminal and now > self._next_line:
            self._next_line = now + _LINE_SECONDS
            text = f"{what}: {done / total:.0%} of {total:,} after {now - self._started:.0f} s"
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        if done >= total:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._what = None, ""
