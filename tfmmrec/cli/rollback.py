"""`tfmmrec rollback`: an earlier version in service again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tfmmrec.cli.output import Json, console

_WHEN = (
    "A running server follows at its next look into the folder, once the version is loaded: `tfmmrec serve` looks "
    "every second (--poll-seconds), that of compose.yaml every 10 (SERVING_POLL_SECONDS)."
)


def rollback(
    name: Annotated[Path, typer.Argument(help="BASE/NAME: where the versions lie.", show_default=False)],
    to: Annotated[
        int | None, typer.Option(help="The version; the one before that in service by default.", show_default=False)
    ] = None,
    json: Json = False,
) -> dict[str, Any]:
    """Put an earlier version in service again, or one that was rolled back.

    Newer ones are moved out of the server's sight, into .withdrawn/, and kept.
    """
    from tfmmrec.serving.withdrawal import roll_back

    event = roll_back(name, to)
    hidden = f"; withdrawn: {', '.join(map(str, event['withdrawn']))}" if event["withdrawn"] else ""
    out = console()
    out.print(f"{name}: version {event['version']} is in service{hidden}", markup=False, soft_wrap=True)
    out.print(_WHEN, markup=False, soft_wrap=True)
    return event
