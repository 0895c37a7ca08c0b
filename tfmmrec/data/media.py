"""Pictures, sounds and videos: their paths are checked when a dataset is loaded, their bytes read when asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmmrec.data.readers import inside

MAX_BYTES = 256 * 2**20
NOUNS = {"image": "picture", "audio": "sound", "video": "video"}
"""Kind of feature -> what messages call one."""


class MediaError(ValueError):
    """A picture, sound or video that cannot be used; `kind` names the fault.

    Args:
        kind: as counted among a dataset's issues.
        found: what was found.
    """

    def __init__(self, kind: str, found: str):
        super().__init__(f"{kind}: {found}")
        self.kind = kind
        self.found = found


@dataclass
class MediaPaths:
    """What is known of a column of paths without opening a file.

    Attributes:
        missing: rows whose file does not exist.
        total_bytes: the sizes of all files together.
    """

    missing: np.ndarray
    total_bytes: int


def check_paths(root: Path, paths: pa.Array, place) -> MediaPaths:
    """Checks that no path leaves the dataset's folder and finds the missing files.

    Args:
        root: the dataset's folder, resolved.
        paths: relative paths, null where there is no file.
        place: row -> where the row is, for messages.

    Raises:
        DataError: a path is absolute or leads out of the folder by `..` or a symbolic link.
    """
    safe_folders: set[str] = set()
    missing, total = [], 0
    for row, path in enumerate(paths.to_pylist()):
        if path is None:
            continue
        full, folder = os.path.join(root, path), os.path.dirname(path)
        if "\0" in path:
            missing.append(row)
            continue
        # One resolution for each folder, not for each file: only a file that is itself a link needs more.
        if folder not in safe_folders or path.endswith("..") or os.path.islink(full):
            inside(root, path, place(row))
            safe_folders.add(folder)
        try:
            total += os.stat(full).st_size
        except OSError:
            missing.append(row)
    return MediaPaths(np.array(missing, np.int64), total)


def is_binary(column: pa.Array) -> bool:
    """Whether the column holds the contents themselves instead of their paths."""
    return pa.types.is_large_binary(column.type) or pa.types.is_binary(column.type)


def empty_to_null(column: pa.Array) -> pa.Array:
    """A column of bytes with null for empty ones."""
    return pc.if_else(pc.equal(pc.binary_length(column), 0), pa.scalar(None, column.type), column)


def read_media(root: Path | None, value: str | bytes, kind: str = "image", max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a cell: its own, or those of the file that it names.

    Args:
        root: the dataset's folder.
        value: bytes, or a path.
        kind: image, audio or video.
        max_bytes: a larger file is refused before it is read.

    Raises:
        MediaError: the file is missing, cannot be read, or is too large.
    """
    if isinstance(value, bytes):
        return value
    try:
        path = root / value if root is not None else Path(value)
        size = path.stat().st_size
        if size > max_bytes:
            raise MediaError(f"{NOUNS[kind]} too large", f"{value!r}: {size} bytes, at most {max_bytes} are read")
        return path.read_bytes()
    except FileNotFoundError:
        raise MediaError(f"missing {NOUNS[kind]} file", repr(value)) from None
    except MediaError:
        raise
    except (OSError, ValueError) as error:
        raise MediaError(f"unreadable {NOUNS[kind]} file", f"{value!r}: {error}") from None
