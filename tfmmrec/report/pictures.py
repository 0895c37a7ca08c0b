"""Pictures small enough to lie inside a page."""

from __future__ import annotations

import base64
import io
import statistics
from collections.abc import Iterable

from PIL import Image

MAX_WIDTH, MAX_HEIGHT = 120, 150
_QUALITY = 72


def picture_uri(data: bytes, max_width: int = MAX_WIDTH, max_height: int = MAX_HEIGHT) -> str | None:
    """A picture as the data URI of a small JPEG.

    Args:
        data: the file's content; b"" for none.
        max_width: in pixels; a larger picture is scaled down, a smaller one stays.
        max_height: in pixels.

    Returns:
        None where there is no picture, or none that can be decoded.
    """
    if not data:
        return None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft("RGB", (2 * max_width, 2 * max_height))  # JPEG: decoded small from the start
            small = _on_white(picture)
        small.thumbnail((max_width, max_height), Image.Resampling.LANCZOS)
        written = io.BytesIO()
        small.save(written, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
    except Exception:  # PIL's readers raise all kinds of errors on damaged files; the page does without
        return None
    return "data:image/jpeg;base64," + base64.b64encode(written.getvalue()).decode("ascii")


def typical_shape(pictures: Iterable[bytes]) -> float:
    """Width over height of most pictures, between 2/3 and 3/2; 1 where none can be read."""
    shapes = []
    for data in pictures:
        try:
            with Image.open(io.BytesIO(data)) as picture:
                shapes.append(picture.width / picture.height)
        except Exception:  # as above: a damaged picture has no shape
            continue
    return min(max(statistics.median(shapes), 2 / 3), 3 / 2) if shapes else 1.0


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        ground = Image.new("RGB", layered.size, "white")
        ground.paste(layered, mask=layered.getchannel("A"))
        return ground
    return picture.convert("RGB")
