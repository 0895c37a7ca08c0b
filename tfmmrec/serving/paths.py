"""Where an exported model lies, and how it gets there whole or not at all.

    BASE/                          what a server is started with: saved_models by default
        models.config  batching_parameters.txt  compose.yaml      see `server_files`
        NAME/                      what it calls the model
            1/  2/                 versions; it serves the highest, which is the one in service
                saved_model.pb  variables/  assets/
                assets.extra/      see `assets`; blessing.json says what a version had to prove
            history.jsonl          pushes, refused ones too, rollbacks and removals, see `versions`
            .withdrawn/3/          versions that were rolled back, out of the server's sight
            .version.export-abc/   what is being pushed

A plain export lies anywhere, RUN/export by default. Under a name that has a blessed version nothing but a push makes
versions.

On this machine it is put in place as `staging` says: what is being written has a dot and letters in its name, which are
no version to a server.

A target that is no path of this machine (gs://...) knows no rename: there `saved_model.pb`, without which no server
loads a model, is removed first and uploaded last.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tfmmrec.staging import staged
from tfmmrec.types import DataError, UsageError

MODEL_FILE = "assets.extra/model.json"
BLESSING_FILE = "assets.extra/blessing.json"
FORMAT = "tfmmrec"
WITHDRAWN = ".withdrawn"
_GRAPH = "saved_model.pb"
_LOCAL = SimpleNamespace(
    exists=os.path.exists, isdir=os.path.isdir, listdir=os.listdir, GFile=partial(open, encoding="utf-8")
)


@contextlib.contextmanager
def writing(target: str) -> Iterator[Path]:
    """A folder to write a model to; it becomes `target` when the block ends, and vanishes when the block fails.

    Args:
        target: a path of this machine, or anything `tf.io.gfile` understands.

    Raises:
        UsageError: the target holds something else than an earlier export, is one of versions that were blessed, also
            by the time that the block ends, or cannot be written.
    """
    target = str(target)
    if is_remote(target):
        _check(target)
        with tempfile.TemporaryDirectory(prefix="tfmmrec-export-") as folder:
            yield Path(folder)
            _check_unblessed(target)
            _upload(Path(folder), target)
        return
    with staged(target, _check) as folder:  # which checks again before anything is replaced
        yield folder
        _check_unblessed(target)  # a version may have been pushed beside it meanwhile


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


def _check(target: str) -> None:
    _check_unblessed(target)
    _check_replaceable(target)


def _check_unblessed(target: str) -> None:
    files, place = _files(target), target.rstrip("/") if is_remote(target) else os.path.realpath(target)
    for folder in (place, os.path.dirname(place)):
        versions = []
        for part in (folder, os.path.join(folder, WITHDRAWN)):
            names = [name.rstrip("/") for name in files.listdir(part)] if files.isdir(part) else []
            versions += [os.path.join(part, name) for name in names if name.isdecimal()]
        if any(files.exists(os.path.join(version, BLESSING_FILE)) for version in versions):
            raise UsageError(
                f"{target}: the versions in {folder} are blessed, and only a push adds one: "
                f"`tfmmrec push RUN --to {folder}`; or name another folder with --to"
            )


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
