"""`tfmmrec prune`: old versions away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tfmmrec.cli.output import Json, console


def prune(
    name: Annotated[Path, typer.Argument(help="BASE/NAME: where the versions lie.", show_default=False)],
    keep: Annotated[int, typer.Option(help="How many stay.", show_default=False)],
    json: Json = False,
) -> dict[str, Any]:
    """Remove versions, never the one in service: the newest of the others stay, withdrawn ones last."""
    from tfmmrec.serving import withdrawal

    event = withdrawal.prune(name, keep)
    removed = ", ".join(map(str, event["removed"])) or "nothing"
    out = console()
    out.print(f"{name}: removed {removed} ({event['freed_bytes'] / 2**20:.1f} MiB)", markup=False, soft_wrap=True)
    out.print(f"kept {', '.join(map(str, event['kept']))}; in service is {event['version']}", markup=False)
    return event
