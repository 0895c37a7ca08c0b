"""Videos whose frames are known."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image


def plain_frames(greys: Sequence[int], width: int = 24, height: int = 16) -> list[Image.Image]:
    """Pictures of one grey each."""
    return [Image.fromarray(np.full((height, width, 3), grey, np.uint8)) for grey in greys]


def mjpeg(greys: Sequence[int], **options) -> bytes:
    """JPEG pictures of one grey each, one behind the other."""
    return b"".join(_saved(frame, "JPEG", quality=95, **options) for frame in plain_frames(greys))


def animation(greys: Sequence[int], kind: str = "GIF") -> bytes:
    """An animated GIF (or WebP, or PNG) of one grey each."""
    first, *others = plain_frames(greys)
    lossless = {"lossless": True} if kind == "WEBP" else {}
    return _saved(first, kind, save_all=True, append_images=others, duration=100, **lossless)


def _saved(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
