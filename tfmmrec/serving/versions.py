"""The versions under one name: which is in service, which number comes next, what was done to them.

A stock server with its default policy serves the folder with the highest number, so that is what "in service" means
here: no label, and no file, can say anything else than the server does. A rollback therefore takes newer versions out
of the server's sight, into `.withdrawn/`, and brings one back by a rename. (A policy `specific` in models.config would
have been the other way; a server that was not started with that file would not follow it.)

A number is never used twice, though its version was withdrawn or removed: clients and caches may remember it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfmmrec.serving.paths import BLESSING_FILE, WITHDRAWN, is_remote
from tfmmrec.types import DataError, UsageError

HISTORY_FILE = "history.jsonl"
STAGED = "version"  # what is being pushed is .version.export-..., see `staging`
_GRAPH = "saved_model.pb"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class Versions:
    """The folder BASE/NAME.

    Args:
        folder: need not exist yet.

    Raises:
        UsageError: no path of this machine, or a name that a server's address cannot have, or one that is a version's.
    """

    def __init__(self, folder: str | Path):
        if is_remote(str(folder)):
            raise UsageError(f"{folder}: versions need a file system that renames; name a folder of this machine")
        self.folder = Path(os.path.realpath(folder))
        self.shown = str(folder)
        name = self.folder.name
        if name.isdecimal():
            raise UsageError(f"{folder}: name the folder of the versions, not one of them: {Path(folder).parent}")
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{folder}: {name!r} must be of letters, digits, '_', '-' and '.', because it stands in addresses"
            )
        if (self.folder / _GRAPH).exists():
            raise UsageError(f"{folder}: is a model itself; name a folder for versions of it")

    @property
    def name(self) -> str:
        """What a server calls the model."""
        return self.folder.name

    def visible(self) -> list[int]:
        """The versions that a server finds, ascending."""
        return _numbers(self.folder)

    def withdrawn(self) -> list[int]:
        """The versions that were taken out of its sight, ascending."""
        return _numbers(self.folder / WITHDRAWN)

    @property
    def in_service(self) -> int | None:
        """The version that a server with the default policy serves."""
        return max(self.visible(), default=None)

    def path(self, version: int) -> Path:
        """A visible version's folder."""
        return self.folder / str(version)

    def next(self) -> int:
        """A number above all that were ever used."""
        folders = [self.folder, self.folder / WITHDRAWN]
        used = [int(name) for folder in folders if folder.is_dir() for name in os.listdir(folder) if name.isdecimal()]
        for event in self.history():
            used += [event.get("version"), *(event.get("removed") or [])]
        return 1 + max((number for number in used if isinstance(number, int)), default=0)

    def is_blessed(self) -> bool:
        """Whether a version was pushed here, withdrawn ones included."""
        places = [self.folder / str(version) for version in self.visible()]
        places += [self.folder / WITHDRAWN / str(version) for version in self.withdrawn()]
        return any((place / BLESSING_FILE).exists() for place in places)

    def history(self) -> list[dict[str, Any]]:
        """What was done, in order; a line that a full disk or a kill cut off is left out."""
        path = self.folder / HISTORY_FILE
        events = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    events.append(event)
        return events

    def record(self, action: str, **what: Any) -> dict[str, Any]:
        """Appends an event to the history, in one write that reaches the disk.

        Raises:
            UsageError: it cannot be written.
        """
        event = {"action": action, "time": datetime.now(UTC).isoformat(timespec="seconds")} | what
        line = json.dumps(event, allow_nan=False) + "\n"
        try:
            with open(self.folder / HISTORY_FILE, "a+b") as file:
                if file.tell() and _last_byte(file) != b"\n":  # what was cut off stays a line of its own
                    line = "\n" + line
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UsageError(
                f"{self.shown}/{HISTORY_FILE}: the record cannot be written ({error.strerror}): {line.strip()}"
            ) from error
        return event

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """While it lasts nobody else publishes, withdraws or removes a version; waits for whoever does.

        Raises:
            UsageError: nothing can be written there.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = open(self.folder / HISTORY_FILE, "ab")
        except OSError as error:
            raise UsageError(f"{self.shown}: nothing can be written there ({error.strerror})") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def publish(self, written: Path, version: int) -> Path:
        """Gives a complete model its place, in one step, once all of it is on the disk.

        Raises:
            UsageError: something has taken the place, or it cannot be written.
        """
        try:
            _reach_disk(written)
            os.rename(written, self.path(version))
            sync(self.folder)
        except OSError as error:
            raise UsageError(f"{self.shown}/{version}: cannot be put in its place ({error.strerror})") from error
        return self.path(version)


def existing_versions(folder: str | Path) -> Versions:
    """The versions under a name that must have some.

    Raises:
        DataError: there is no such folder, or no version in it.
    """
    versions = Versions(folder)
    if not versions.folder.is_dir():
        raise DataError(f"{folder}: no such folder; `tfmmrec push RUN --to {folder}` makes it")
    if not versions.visible() and not versions.withdrawn():
        names = sorted(path.name for path in versions.folder.iterdir() if _numbers(path))
        below = [f"{folder}/{name}" for name in names]
        mended = f"did you mean {' or '.join(below[:5])}?" if below else f"`tfmmrec push RUN --to {folder}` makes one"
        raise DataError(f"{folder}: holds no version; {mended}")
    return versions


def folder_bytes(folder: Path) -> int:
    """What its files take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _numbers(folder: Path) -> list[int]:
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal() and (folder / name / _GRAPH).exists())


def _last_byte(file) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def _reach_disk(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
