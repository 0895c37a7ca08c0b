"""What every command has: `--debug`, and a `--json` that has standard output to itself."""

from __future__ import annotations

import functools
import inspect
import keyword
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer

from tfmmrec.cli.output import Refusal, only_json, to_json

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@dataclass(frozen=True)
class Command:
    """One line of the command table: all that `tfmmrec --help` needs to know, without importing the command.

    Attributes:
        name: what it is called; its module `tfmmrec.cli.<name>` holds a function of that name, or a
            `typer.Typer` for a command with subcommands. A word of Python's has `_` behind it in both.
        help: the line that `tfmmrec --help` shows.
        is_resumable: `--resume` goes on after an interruption.
    """

    name: str
    help: str
    is_resumable: bool = False

    @property
    def module(self) -> str:
        """What its module and its function are called."""
        return f"{self.name}_" if keyword.iskeyword(self.name) else self.name

    def load(self) -> Any:
        """Imports the function, or the `typer.Typer`."""
        return getattr(import_module(f"tfmmrec.cli.{self.module}"), self.module)


def prepare(function: Callable[..., Any]) -> Callable[..., None]:
    """Wraps a command's function as the command line calls it.

    Args:
        function: has a parameter `json: Json`, prints for people, and returns what `--json` prints.

    Returns:
        A function with the same options and `--debug`; it prints the JSON and returns nothing.

    Raises:
        TypeError: `function` has no parameter `json`.
    """
    signature = inspect.signature(function, eval_str=True)
    if "json" not in signature.parameters:
        raise TypeError(f"command {function.__name__!r} lacks its parameter `json: Json = False`")

    @functools.wraps(function)
    def wrapped(*, debug: bool, **arguments: Any) -> None:
        if not arguments["json"]:
            function(**arguments)
            return
        with only_json():
            refusal = None
            try:
                answer = function(**arguments)
            except Refusal as error:
                answer, refusal = error.answer, error
        print(to_json(answer))
        if refusal is not None:
            raise refusal

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [parameter.replace(kind=keyword) for parameter in signature.parameters.values()]
    parameters.append(inspect.Parameter("debug", keyword, default=False, annotation=Debug))
    del wrapped.__wrapped__  # or its signature, which lacks --debug, would be read instead
    wrapped.__signature__ = signature.replace(parameters=parameters, return_annotation=None)
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped
