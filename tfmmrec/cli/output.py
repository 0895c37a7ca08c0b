"""What the commands print: tables for people, JSON for machines."""

from __future__ import annotations

import contextlib
import json as json_module
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, and nothing else.")]


class Refusal(Exception):
    """A command did its work and has to say no; `--json` prints its answer all the same.

    Args:
        message: for people.
        answer: for machines.
        is_bad_input: the exit code is 2, else 1.
    """

    def __init__(self, message: str, answer: Any, is_bad_input: bool = False):
        super().__init__(message)
        self.answer = answer
        self.is_bad_input = is_bad_input


_for_machines: ContextVar[bool] = ContextVar("for_machines", default=False)


@contextlib.contextmanager
def only_json() -> Iterator[None]:
    """While it lasts nothing that is meant for people is printed, and what libraries print goes to standard error."""
    token = _for_machines.set(True)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _for_machines.reset(token)


def console(stderr: bool = False):
    """A Rich console for people: on the standard output, where `--json` silences it, or for notes and errors."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, quiet=_for_machines.get() and not stderr)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = 110  # a file or a pipe has no width of its own
    return made


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    title: str | None = None,
    numbers: Iterable[int] = (),
):
    """A Rich table of plain text; nothing in a cell is taken for markup.

    Args:
        columns: the headings.
        rows: one value per column; floats get four digits, None becomes a dash.
        title: a line above the table.
        numbers: positions of the columns that are set flush right.

    Returns:
        A `rich.table.Table`.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    numbers = set(numbers)
    for position, name in enumerate(columns):
        made.add_column(name, justify="right" if position in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(_cell(value)) for value in row))
    return made


def counted(number: int, one: str, many: str) -> str:
    """A number with its noun: "1 query", "1,234 queries"."""
    return f"{number:,} {one if number == 1 else many}"


def to_json(answer: Any) -> str:
    """The text of an answer: NumPy values as plain ones, paths as strings, NaN and infinity as null.

    Raises:
        TypeError: for a value that has no JSON form.
    """
    return json_module.dumps(_plain(answer), ensure_ascii=False, indent=2, allow_nan=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        entries = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [_plain(entry) for entry in entries]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value
