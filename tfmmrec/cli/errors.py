"""From an error to a message and an exit code, in one place: 2 for bad usage or bad input, 1 for failure."""

from __future__ import annotations

import re
import sys
import traceback

import typer

from tfmmrec.cli.output import Refusal, console
from tfmmrec.types import DataError, UsageError

OK, FAILURE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

# Typer's release decides where this class lives; its public subclass knows.
_ParseError = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def report(error: BaseException, debug: bool = False, resumable: bool = False) -> int:
    """Tells a person on standard error what went wrong.

    Args:
        error: what was raised.
        debug: shows the traceback as well.
        resumable: the command can go on where it was interrupted.

    Returns:
        The exit code: 2 for bad usage or bad input, 130 for an interruption, 1 for all else.
    """
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return interrupted(resumable)
    if isinstance(error, BrokenPipeError):  # the reader of a pipe has left, as in `tfmmrec zoo | head -1`
        return FAILURE
    if debug and not isinstance(error, _ParseError):
        traceback.print_exception(error)
    if isinstance(error, _ParseError):
        context = getattr(error, "ctx", None)
        if context is not None:
            print(f"{context.get_usage()}\nHelp: {context.command_path} --help", file=sys.stderr)
        _say(error.format_message())
        return BAD_INPUT
    if isinstance(error, (DataError, UsageError)):
        _say(str(error))
        return BAD_INPUT
    if _is_server_error(error):
        _say(_beginning(error))
        return FAILURE
    if isinstance(error, Refusal):
        _say(str(error))
        return BAD_INPUT if error.is_bad_input else FAILURE
    if _is_validation_error(error):
        _say(_validation_message(error))
        return BAD_INPUT
    _say(_failure_message(error))
    if not debug:
        print("This is a failure, not a mistake in the input. Add --debug for the traceback.", file=sys.stderr)
    return FAILURE


def interrupted(resumable: bool) -> int:
    """Says that the command was interrupted, and how to go on."""
    hint = " The same command with --resume goes on from the last checkpoint." if resumable else ""
    print(f"Interrupted.{hint}", file=sys.stderr)
    return INTERRUPTED


def _say(message: str) -> None:
    from rich.text import Text

    text = Text("Error: ", style="bold red")
    text.append(message, style="not bold default")
    console(stderr=True).print(text, soft_wrap=True)


def _is_server_error(error: BaseException) -> bool:
    module = sys.modules.get("tfmmrec.serving.server_error")  # not imported: then nothing can have raised it
    return module is not None and isinstance(error, module.ServerError)


def _is_validation_error(error: BaseException) -> bool:
    core = sys.modules.get("pydantic_core")  # not imported: then nothing can have raised it
    return core is not None and isinstance(error, core.ValidationError)


def _validation_message(error) -> str:
    words = " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", error.title)).lower()  # of a class's name
    lines = [f"not valid ({words}):"]
    for problem in error.errors(include_url=False):
        place = ".".join(str(step) for step in problem["loc"]) or "as a whole"
        message = problem["msg"].removeprefix("Value error, ")
        found = problem["input"]
        shown = f" (found {found!r})" if isinstance(found, (str, int, float, bool)) else ""
        lines.append(f"  {place}: {message}{shown}")
    return "\n".join(lines)


def _failure_message(error: BaseException) -> str:
    words = _beginning(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _beginning(error: BaseException) -> str:
    # TensorFlow's messages go on for pages of operation names; the first paragraph says what happened.
    return "\n".join(str(error).strip().split("\n\n")[0].splitlines()[:5])
