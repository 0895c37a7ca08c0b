"""How a folder gets to its place whole or not at all.

While it is written (NAME is the last part of the target's path):

    PARENT/
        NAME/                   what others see: the earlier folder, or nothing
        .NAME.export-abc123/    what is being written

Then one rename puts it in place; an earlier folder and the new one change places in that same step, and the earlier
one is removed. Whoever is killed leaves only the hidden folder, which the next one removes: whoever writes holds a lock
on it, which ends with the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tfmmrec.types import UsageError

Check = Callable[[str], None]
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def staged(target: str | Path, check: Check) -> Iterator[Path]:
    """A folder to write to; it becomes `target` when the block ends, and vanishes when the block fails.

    Args:
        target: a path of this machine.
        check: called with the target before anything is written, and before anything is replaced; raises where what
            stands there must not be replaced.

    Raises:
        UsageError: nothing can be written there.
    """
    check(str(target))
    with hidden_folder(target) as staging:
        yield staging
        _put_in_place(staging, Path(os.path.realpath(target)), check)


@contextlib.contextmanager
def hidden_folder(target: str | Path) -> Iterator[Path]:
    """The folder that is written, for whoever renames it; what is still there of it when the block ends is removed.

    Args:
        target: a path of this machine, beside which it is made.

    Raises:
        UsageError: nothing can be written there.
    """
    place = Path(os.path.realpath(target))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        staging, lock = _stage(place)
    except OSError as error:
        raise UsageError(
            f"{target}: nothing can be written beside it ({error.strerror}); choose another folder with --to"
        ) from error
    try:
        yield staging
    finally:
        for left in (staging, _aside(staging)):  # what is left of it, or the earlier folder
            shutil.rmtree(left, ignore_errors=True)
        os.close(lock)


def _stage(target: Path) -> tuple[Path, int]:
    """Makes the hidden folder, locked; removes those of killed exports."""
    prefix = f".{target.name}.export-"
    parent = _lock(target.parent, wait=True)  # nobody takes a folder for abandoned before it is locked
    try:
        for name in os.listdir(target.parent):
            if name.startswith(prefix):
                with contextlib.suppress(OSError):
                    os.close(_lock(target.parent / name, wait=False))
                    shutil.rmtree(target.parent / name, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        staging.chmod(0o755)
        return staging, _lock(staging, wait=True)
    finally:
        os.close(parent)


def _lock(folder: Path, wait: bool) -> int:
    """An open folder with a lock, which ends when it is closed.

    Raises:
        OSError: somebody else holds it and `wait` is False; or, where a file system has no locks, always then.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        if not wait:
            os.close(descriptor)
            raise
    return descriptor


def _put_in_place(staging: Path, target: Path, check: Check) -> None:
    while True:
        try:
            os.rename(staging, target)  # replaces nothing, or an empty folder
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        check(str(target))  # somebody may have put something there meanwhile
        with contextlib.suppress(FileNotFoundError):
            if _exchange(staging, target):
                return
            os.rename(target, _aside(staging))  # two steps where there is no exchange


def _aside(staging: Path) -> Path:
    return staging.with_name(f"{staging.name}-old")


def _exchange(one: Path, other: Path) -> bool:
    """Lets two folders change places in one step (Linux's renameat2); False where the file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(other))
