"""Flags of a Beam script that are neither its own nor Beam's: mistakes in typing, which Beam drops with a warning."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence

from tfmmrec.types import UsageError

_ALIKE = 0.8
_CLOSED = ("", "direct", "switchingdirect", "bundlebaseddirect", "fnapi")
"""Runners on one machine, whose flags Beam knows all of; others hand on what it does not know."""


def check_flags(parser: argparse.ArgumentParser, flags: Sequence[str], options: type) -> None:
    """Refuses arguments that nobody reads.

    Args:
        parser: of the script's own flags.
        flags: what it did not know.
        options: Beam's class `PipelineOptions`, whose subclasses add their flags to a parser; so Beam is not imported.

    Raises:
        UsageError: an argument that Beam does not know either, where no runner could, or where it is nearly a flag of
            the script's own. The message has the nearest flag.
    """
    beam = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for part in options.__subclasses__():
        part._add_argparse_args(beam)
    given, unknown = beam.parse_known_args(list(flags))
    own = _flags_of(parser)
    is_closed = (given.runner or "").rpartition(".")[2].lower().removesuffix("runner") in _CLOSED
    for argument in unknown if is_closed else [argument for argument in unknown if argument.startswith("-")]:
        flag = argument.split("=")[0]
        near = difflib.get_close_matches(flag, own + _flags_of(beam) if is_closed else own, n=1, cutoff=_ALIKE)
        if near or is_closed:
            hint = f"did you mean {near[0]}?" if near else f"the script's own flags are {', '.join(own)}"
            raise UsageError(f"{flag}: known neither to this script nor to Beam; {hint}")


def _flags_of(parser: argparse.ArgumentParser) -> list[str]:
    return [flag for action in parser._actions for flag in action.option_strings]
