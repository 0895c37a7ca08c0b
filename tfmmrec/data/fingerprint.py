"""Digests of data, to notice that it is not the data of before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_WHOLE_BYTES = 2**28
_CHUNK_BYTES = 2**20


def hash_files(root: Path, paths: Iterable[Path]) -> list[str]:
    """A digest of each file's place, size and content; of a file beyond 256 MiB 256 evenly spaced MiB are
    read.

    Args:
        root: places are relative to it, so that a copied folder has the same digests.
        paths: files below it.
    """
    return [_hash_file(path, path.relative_to(root).as_posix()) for path in paths]


def _hash_file(path: Path, name: str) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256(f"{name}\n{size}\n".encode())
    step = _CHUNK_BYTES if size <= _WHOLE_BYTES else size // (_WHOLE_BYTES // _CHUNK_BYTES)
    with open(path, "rb") as file:
        for start in range(0, size, step):
            file.seek(start)
            digest.update(file.read(_CHUNK_BYTES))
    return digest.hexdigest()


def hash_frame(frame) -> str:
    """A digest of a pandas DataFrame's columns and values; rows are not held as bytes all at once."""
    import pandas as pd

    digest = hashlib.sha256(repr([(str(name), str(kind)) for name, kind in frame.dtypes.items()]).encode())
    for start in range(0, len(frame), 2**16):
        part = frame.iloc[start : start + 2**16]
        for name in range(part.shape[1]):
            column = part.iloc[:, name]
            if column.dtype == object:
                column = column.map(repr)
            digest.update(pd.util.hash_pandas_object(column, index=False).to_numpy().tobytes())
    return digest.hexdigest()
