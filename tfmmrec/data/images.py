"""Pictures: their paths are checked when a dataset is loaded, their bytes when they are asked for."""

from __future__ import annotations

import io
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from tfmmrec.data.picture_structure import is_whole_jpeg, is_whole_png
from tfmmrec.data.readers import inside

MAX_PIXELS = 50_000_000
_JPEG = ("JPEG", "MPO")  # an MPO is a JPEG with further pictures behind it


class PictureError(ValueError):
    """A picture that cannot be used; `kind` names the fault.

    Args:
        kind: as counted among a dataset's issues.
        found: what was found.
    """

    def __init__(self, kind: str, found: str):
        super().__init__(f"{kind}: {found}")
        self.kind = kind
        self.found = found


def usable_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> bytes:
    """The bytes of a picture in a form that TensorFlow's `decode_image` decodes to three channels.

    Whole JPEG and PNG files stay as they are; what else PIL reads becomes PNG (of a moving picture its first
    frame). The picture is decoded once, to be sure that it is whole, unless its header says that it is too
    large.

    Args:
        data: the file's content.
        max_pixels: width times height at most.

    Raises:
        PictureError: not a picture, truncated or damaged, or too large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns of large pictures; the limit here is lower
        picture = _by_pillow(lambda: Image.open(io.BytesIO(data)), data)
        with picture:
            width, height = picture.size
            if width * height > max_pixels:
                found = f"{width} x {height} pixels, at most {max_pixels} are decoded"
                raise PictureError("picture too large", found)
            _by_pillow(picture.load, data)
            if picture.format in _JPEG and is_whole_jpeg(data) or picture.format == "PNG" and is_whole_png(data):
                return data
            return _by_pillow(lambda: _as_png(picture), data)


def _by_pillow(action, data: bytes):
    """Does what PIL may refuse; its readers raise all kinds of errors on damaged files."""
    try:
        return action()
    except Image.UnidentifiedImageError:
        raise PictureError("not a picture", f"{len(data)} bytes starting with {data[:8]!r}") from None
    except Image.DecompressionBombError as error:
        raise PictureError("picture too large", re.sub(r".*\((\d+ pixels)\).*", r"\1", str(error))) from None
    except Exception as error:
        raise PictureError("damaged picture", str(error) or type(error).__name__) from None


def _as_png(picture: Image.Image) -> bytes:
    converted = io.BytesIO()
    if picture.mode.startswith("I;16"):
        picture = picture.point(lambda value: value / 256.0).convert("L")
    picture.convert("RGB").save(converted, "PNG")
    return converted.getvalue()


@dataclass
class PicturePaths:
    """What is known of a column of paths without opening a picture.

    Attributes:
        missing: rows whose file does not exist.
        total_bytes: the sizes of all files together.
    """

    missing: np.ndarray
    total_bytes: int


def check_paths(root: Path, paths: pa.Array, place) -> PicturePaths:
    """Checks that no path leaves the dataset's folder and finds the missing files.

    Args:
        root: the dataset's folder, resolved.
        paths: relative paths, null where there is no picture.
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
        # One resolution for each folder, not for each picture: only a picture that is itself a link needs
        # more.
        if folder not in safe_folders or path.endswith("..") or os.path.islink(full):
            inside(root, path, place(row))
            safe_folders.add(folder)
        try:
            total += os.stat(full).st_size
        except OSError:
            missing.append(row)
    return PicturePaths(np.array(missing, np.int64), total)


def is_binary(column: pa.Array) -> bool:
    """Whether the column holds the pictures themselves instead of their paths."""
    return pa.types.is_large_binary(column.type) or pa.types.is_binary(column.type)


def empty_to_null(column: pa.Array) -> pa.Array:
    """A column of bytes with null for empty ones."""
    return pc.if_else(pc.equal(pc.binary_length(column), 0), pa.scalar(None, column.type), column)


def read_picture(root: Path | None, value: str | bytes) -> bytes:
    """The bytes of a cell: its own, or those of the file that it names.

    Raises:
        PictureError: the file is missing or cannot be read.
    """
    if isinstance(value, bytes):
        return value
    try:
        return (root / value).read_bytes() if root is not None else Path(value).read_bytes()
    except FileNotFoundError:
        raise PictureError("missing picture file", repr(value)) from None
    except (OSError, ValueError) as error:
        raise PictureError("unreadable picture file", f"{value!r}: {error}") from None
