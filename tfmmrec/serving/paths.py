"""Where an exported model lies, and how it gets there whole or not at all.

While it is written (NAME is the last part of the target's path):

    PARENT/
        NAME/                   what servers see: the earlier export, or nothing
        .NAME.export-abc123/    what is being written; the dot and the letters are no version to a server

Then one rename puts it in place; an earlier export and the new one change places in that same step, and the earlier
one is removed. A killed export leaves only the hidden folder, which the next one removes: whoever writes holds a lock
on it, which ends with the process.

A target that is no path of this machine (gs://...) knows no rename: there `saved_model.pb`, without which no server
loads a model, is removed first and uploaded last.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tfmmrec.types import DataError, UsageError

MODEL_FILE = "assets.extra/model.json"
FORMAT = "tfmmrec"
_GRAPH = "saved_model.pb"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_LOCAL = SimpleNamespace(
    exists=os.path.exists, isdir=os.path.isdir, listdir=os.listdir, GFile=partial(open, encoding="utf-8")
)


@contextlib.contextmanager
def writing(target: str) -> Iterator[Path]:
    """A folder to write a model to; it becomes `target` when the block ends, and vanishes when the block fails.

    Args:
        target: a path of this machine, or anything `tf.io.gfile` understands.

    Raises:
        UsageError: the target holds something else than an earlier export, or cannot be written.
    """
    target = str(target)
    _check_replaceable(target)
    if is_remote(target):
        with tempfile.TemporaryDirectory(prefix="tfmmrec-export-") as folder:
            yield Path(folder)
            _upload(Path(folder), target)
        return
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
        _put_in_place(staging, place)
    finally:
        for left in (staging, _aside(staging)):  # what is left of it, or the earlier export
            shutil.rmtree(left, ignore_errors=True)
        os.close(lock)


def is_remote(target: str) -> bool:
    """Whether a path is one of `tf.io.gfile`'s other file systems."""
    return "://" in str(target)


def _files(path: str) -> Any:
    """What reads a path; TensorFlow is only imported where it must be."""
    if not is_remote(path):
        return _LOCAL
    import tensorflow as tf

    return tf.io.gfile


def is_export(folder: str) -> bool:
    """Whether a folder holds what an export wrote, an unfinished upload included."""
    path, files = os.path.join(folder, MODEL_FILE), _files(folder)
    if not files.exists(path):
        return False
    with files.GFile(path) as file:
        text = file.read()
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def model_folder(path: str | Path) -> str:
    """The folder with `saved_model.pb`: `path` itself, or the newest numeric version in it.

    Raises:
        DataError: there is none.
    """
    path = str(path)
    files = _files(path)
    if files.exists(os.path.join(path, _GRAPH)):
        return path
    if not files.isdir(path):
        raise DataError(f"{path}: no such folder; `tfmmrec export RUN` writes a model")
    names = [name.rstrip("/") for name in files.listdir(path)]
    versions = sorted((name for name in names if name.isdecimal()), key=int, reverse=True)
    for version in versions:
        if files.exists(os.path.join(path, version, _GRAPH)):
            return os.path.join(path, version)
    if "config.json" in names:
        raise DataError(
            f"{path}: is the folder of a run; export it with `tfmmrec export {path}`, then ask {path}/export"
        )
    raise DataError(f"{path}: expected {_GRAPH}, or versions (folders with a number for a name) with it, found neither")


def _check_replaceable(target: str) -> None:
    files = _files(target)
    if not files.exists(target):
        return
    if not files.isdir(target):
        raise UsageError(f"{target}: is a file; name a folder that does not exist yet, or an earlier export")
    if files.listdir(target) and not is_export(target):
        raise UsageError(
            f"{target}: holds something that is no export, and is not replaced; name another folder, or empty it first"
        )


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


def _put_in_place(staging: Path, target: Path) -> None:
    while True:
        try:
            os.rename(staging, target)  # replaces nothing, or an empty folder
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        _check_replaceable(str(target))  # somebody may have put something there meanwhile
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


def _upload(folder: Path, target: str) -> None:
    remote_files = _files(target)
    graph = os.path.join(target, _GRAPH)
    if remote_files.exists(graph):
        remote_files.remove(graph)  # from here on no server loads what is there
    if remote_files.exists(target):
        remote_files.rmtree(target)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    # what tells that the folder is ours goes first, the graph last
    for path in sorted(files, key=lambda path: (path.name == _GRAPH, path.as_posix() != MODEL_FILE)):
        place = os.path.join(target, path.as_posix())
        remote_files.makedirs(os.path.dirname(place))
        remote_files.copy(str(folder / path), place, overwrite=True)
