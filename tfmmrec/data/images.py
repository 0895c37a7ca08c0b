"""Pictures: brought into a form that TensorFlow decodes, or named as unusable."""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tfmmrec.data.media import MediaError
from tfmmrec.data.picture_structure import MAX_SIDE, is_whole_jpeg, is_whole_png

MAX_PIXELS = 50_000_000
_PART = 1_000_000  # pixels
_JPEG = ("JPEG", "MPO")  # an MPO is a JPEG with further pictures behind it


def usable_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> bytes:
    """The bytes of a picture in a form that TensorFlow's `decode_image` decodes to three channels.

    Whole JPEG and PNG files stay as they are; what else `open_picture` reads becomes PNG (of a moving picture its
    first frame). The picture is decoded once, to be sure that it is whole, unless its header says that it is too
    large: whatever a file claims, it takes no more memory than about 20 bytes for each of `max_pixels`.

    Args:
        data: the file's content.
        max_pixels: width times height at most.

    Raises:
        MediaError: not a picture, truncated or damaged, or too large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns of large pictures; the limit here is lower
        picture = by_pillow(lambda: open_picture(data), data)
        with picture:
            width, height = picture.size
            if width * height > max_pixels:
                found = f"{width} x {height} pixels, at most {max_pixels} are decoded"
                raise MediaError("picture too large", found)
            if max(width, height) > MAX_SIDE:
                raise MediaError("picture too large", f"{width} x {height} pixels, at most {MAX_SIDE} in a side")
            by_pillow(picture.load, data)
            if picture.format in _JPEG and is_whole_jpeg(data) or picture.format == "PNG" and is_whole_png(data):
                return data
            return by_pillow(lambda: _as_png(picture), data)


def open_picture(data: bytes) -> Image.Image:
    """Reads a picture's header, of the formats of PIL but for those whose header does not bound what they cost.

    An icon (ICO, ICNS) holds pictures of sizes that it does not tell, and another program draws EPS and WMF.

    Args:
        data: the file's content.

    Raises:
        Exception: whatever PIL stumbles over; see `by_pillow`.
    """
    return Image.open(io.BytesIO(data), formats=_formats())


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in ("ICO", "ICNS", "EPS", "WMF"))


def by_pillow(action, data: bytes, noun: str = "picture"):
    """Does what PIL may refuse; its readers raise all kinds of errors on damaged files.

    Args:
        action: what is to be done.
        data: the file's content.
        noun: what the file should be.

    Raises:
        MediaError: it was refused.
    """
    try:
        return action()
    except Image.UnidentifiedImageError:
        raise MediaError(f"not a {noun}", f"{len(data)} bytes starting with {data[:8]!r}") from None
    except Image.DecompressionBombError as error:
        raise MediaError(f"{noun} too large", re.sub(r".*\((\d+ pixels)\).*", r"\1", str(error))) from None
    except Exception as error:
        raise MediaError(f"damaged {noun}", str(error) or type(error).__name__) from None


def as_rgb(picture: Image.Image) -> Image.Image:
    """A picture as red, green and blue of 8 bits each; PIL's own way makes most greys of more bits white.

    Args:
        picture: of any mode. Of integers of 32 bits and of floats, white is the least of 1 (floats), 255 and 65,535
            that nothing exceeds; where there is none, they are stretched from their least to their greatest.
    """
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    elif picture.mode in ("I", "F"):
        picture = Image.fromarray(_as_bytes(np.asarray(picture), (1, 255, 65_535)[picture.mode == "I" :]))
    return picture.convert("RGB")


def _as_bytes(greys: np.ndarray, whites: tuple[int, ...]) -> np.ndarray:
    def parts() -> Iterator[np.ndarray]:  # in full precision, which the whole would have no room for
        for start in range(0, greys.size, _PART):
            yield np.nan_to_num(flat[start : start + _PART].astype(np.float64), posinf=0.0, neginf=0.0)

    flat, scaled = greys.reshape(-1), np.empty(greys.size, np.uint8)
    low, high = min(part.min() for part in parts()), max(part.max() for part in parts())
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is None:
        white = max(high - low, 1e-30)
    else:
        low = 0.0
    for number, part in enumerate(parts()):
        scaled[number * _PART :][: part.size] = np.round((part - low) * (255 / white))
    return scaled.reshape(greys.shape)


def _as_png(picture: Image.Image) -> bytes:
    converted = io.BytesIO()
    as_rgb(picture).save(converted, "PNG")
    return converted.getvalue()
