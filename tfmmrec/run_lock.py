"""One training at a time in a run's folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tfmmrec.types import UsageError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

LOCK_FILE = ".lock"


class RunLock:
    """The right to train in a run's folder: a kernel's lock on `RUN/.lock`, which ends with the process that holds it.

    So a killed training leaves no lock behind. Where the system or the file system has no locks, or the folder
    cannot be written to, all goes on without.

    Args:
        run: the run's folder.
    """

    def __init__(self, run: Path):
        self.run = run
        self._descriptor: int | None = None

    def take(self) -> None:
        """Makes the folder and takes the lock, unless it is held here already.

        Raises:
            UsageError: somebody else holds it.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        if fcntl is None or self._descriptor is not None:
            return
        try:
            descriptor = os.open(self.run / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise UsageError(
                    f"{self.run}: is being trained by another process; wait until it ends, or choose another folder"
                ) from None
        else:
            self._descriptor = descriptor

    def check_new(self) -> None:
        """Refuses a folder in which a training was begun already.

        Raises:
            UsageError: it was.
        """
        if (self.run / "config.json").exists():
            raise UsageError(f"{self.run}: holds a run already; choose another folder, or go on with --resume")

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, *_) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
