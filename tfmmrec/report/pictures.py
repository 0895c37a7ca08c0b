"""Pictures small enough to lie inside a page."""

from __future__ import annotations

import base64
import io
import re
import statistics
from collections.abc import Iterable

from PIL import Image

MAX_WIDTH, MAX_HEIGHT = 120, 150
_QUALITY = 72
_MAX_FRAMES = 16
_MILLISECONDS = 1600  # of an animation
_ANIMATED = ("GIF", "WEBP", "PNG")  # the further pictures of a JPEG with several (MPO) are views of one thing
_NEXT_JPEG = re.compile(rb"(?<=\xff\xd9)(?=\xff\xd8)")  # in MJPEG: one picture ends and the next one begins


def picture_uri(data: bytes, max_width: int = MAX_WIDTH, max_height: int = MAX_HEIGHT) -> str | None:
    """A picture as the data URI of a small JPEG, an animation as that of a small animated WebP.

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
            kind, written = _written(picture, data, (max_width, max_height))
    except Exception:  # PIL's readers raise all kinds of errors on damaged files; the page does without
        return None
    return f"data:image/{kind};base64," + base64.b64encode(written).decode("ascii")


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


def _written(picture: Image.Image, data: bytes, size: tuple[int, int]) -> tuple[str, bytes]:
    """The kind of file that it becomes, and the file."""
    written = io.BytesIO()
    frames = _frames(picture, data, size)
    if len(frames) > 1:
        others = [frame.resize(frames[0].size) for frame in frames[1:]]
        options = {"save_all": True, "append_images": others, "duration": _MILLISECONDS // len(frames), "loop": 0}
        frames[0].save(written, "WEBP", quality=_QUALITY, **options)
        return "webp", written.getvalue()
    frames[0].save(written, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
    return "jpeg", written.getvalue()


def _frames(picture: Image.Image, data: bytes, size: tuple[int, int]) -> list[Image.Image]:
    """What is to be seen, small: some evenly spread frames of an animation or of MJPEG, else the picture alone."""
    if picture.format == "JPEG":
        pictures = _NEXT_JPEG.split(data)
        return [_small(Image.open(io.BytesIO(one)), size) for one in pictures[:: -(-len(pictures) // _MAX_FRAMES)]]
    frames = []
    number = getattr(picture, "n_frames", 1) if picture.format in _ANIMATED else 1
    for place in range(0, number, -(-number // _MAX_FRAMES)):
        if number > 1:
            picture.seek(place)
        frames.append(_small(picture, size))
    return frames


def _small(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    picture.draft("RGB", (2 * size[0], 2 * size[1]))  # JPEG: decoded small from the start
    small = _on_white(picture)
    small.thumbnail(size, Image.Resampling.LANCZOS)
    return small


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        ground = Image.new("RGB", layered.size, "white")
        ground.paste(layered, mask=layered.getchannel("A"))
        return ground
    return picture.convert("RGB")
