"""Taking versions out of service, and away: nothing of it is seen half done, and the one in service stays."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfmmrec.serving.paths import WITHDRAWN
from tfmmrec.serving.versions import STAGED, Versions, existing_versions, folder_bytes, sync
from tfmmrec.types import UsageError


def roll_back(folder: str | Path, to: int | None = None) -> dict[str, Any]:
    """Puts another version in service, by hiding the newer ones.

    Args:
        folder: BASE/NAME.
        to: the version's number, visible or withdrawn; the one below that in service when None.

    Returns:
        The event as it is recorded, with `version` (now in service), `before`, `withdrawn` and `restored`.

    Raises:
        UsageError: there is no such version, or it is in service already; or, where none is named, another version came
            into service after this began, which was not meant.
        DataError: there are no versions.
    """
    versions = existing_versions(folder)
    meant = versions.in_service
    with _refusing_writes(versions), versions.locked():
        before, visible = versions.in_service, versions.visible()
        if to is None and before != meant:
            raise UsageError(
                f"{folder}: version {before} came into service just now, instead of {meant}; nothing was rolled back, "
                "say with --to which version shall be in service"
            )
        to = _target(versions, to, before, visible)
        restored = [to] if to not in visible else []
        newer = [version for version in visible if version > to]
        hidden = versions.folder / WITHDRAWN
        hidden.mkdir(exist_ok=True)
        for version in restored:
            os.rename(hidden / str(version), versions.path(version))
        for version in newer:  # that in service last: a server changes once, and a kill on the way changes nothing
            os.rename(versions.path(version), hidden / str(version))
        sync(versions.folder)
        return versions.record("rollback", version=to, before=before, withdrawn=newer, restored=restored)


def prune(folder: str | Path, keep: int) -> dict[str, Any]:
    """Removes versions.

    Args:
        folder: BASE/NAME.
        keep: how many stay: that in service, then visible ones from the newest on, then withdrawn ones.

    Returns:
        The event as it is recorded, with `version` (in service), `kept`, `removed` and `freed_bytes`.

    Raises:
        UsageError: fewer than one are to be kept, or no version is in service.
        DataError: there are no versions.
    """
    if keep < 1:
        raise UsageError(f"--keep must be at least 1, because the version in service stays, got {keep}")
    versions = existing_versions(folder)
    with _refusing_writes(versions), versions.locked():
        if versions.in_service is None:
            raise UsageError(f"{folder}: all versions are withdrawn; bring one back with `tfmmrec rollback --to`")
        places = [versions.path(version) for version in reversed(versions.visible())]
        places += [versions.folder / WITHDRAWN / str(version) for version in reversed(versions.withdrawn())]
        kept, removed = places[:keep], places[keep:]
        event = versions.record(  # first: the numbers must not be forgotten
            "prune",
            version=versions.in_service,
            kept=sorted(int(place.name) for place in kept),
            removed=sorted(int(place.name) for place in removed),
            freed_bytes=sum(folder_bytes(place) for place in removed),
        )
        for place in removed:
            hidden = versions.folder / f".{STAGED}.export-removed-{place.name}"  # what a kill leaves, a push removes
            os.rename(place, hidden)
            shutil.rmtree(hidden, ignore_errors=True)
        return event


def _target(versions: Versions, to: int | None, before: int | None, visible: list[int]) -> int:
    withdrawn = versions.withdrawn()
    if to is None:
        older = [version for version in visible if version != before]
        if older:
            return older[-1]
        known = f"; withdrawn are {_listed(withdrawn)}, which --to brings back" if withdrawn else ""
        raise UsageError(f"{versions.shown}: there is no version older than the one in service, {before}{known}")
    if to == before:
        raise UsageError(f"{versions.shown}: version {to} is in service already")
    if to not in visible and to not in withdrawn:
        raise UsageError(
            f"{versions.shown}: has no version {to}; visible are {_listed(visible)}, withdrawn {_listed(withdrawn)}"
        )
    return to


def _listed(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers) or "none"


@contextlib.contextmanager
def _refusing_writes(versions: Versions) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{versions.shown}: its versions cannot be moved ({error.strerror})") from error
