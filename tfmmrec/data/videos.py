"""Videos: brought into a form that TensorFlow decodes, or named as unusable."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator

from PIL import Image

from tfmmrec.data.images import MAX_PIXELS, as_rgb, by_pillow, open_picture
from tfmmrec.data.media import MediaError
from tfmmrec.data.picture_structure import jpeg_end

MAX_FRAMES = 64
"""So many frames are kept, evenly spread: a batch of whole films would not fit the memory."""
_MAX_SCANNED = 1800  # of the frames of a file, a minute at 30 a second; what comes after is left out
_MAX_SIDE = 640  # in pixels, of a frame that is kept
_START, _END = b"\xff\xd8", b"\xff\xd9"
_PICTURES = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # in MP4's form
_ANIMATIONS = ("GIF", "WEBP", "PNG")  # a TIFF's pages and an MPO's views are no frames
_CONTAINERS = {b"\x1a\x45\xdf\xa3": "WebM or Matroska", b"FLV": "FLV", b"\x00\x00\x01\xba": "MPEG"}


def usable_video(data: bytes, max_pixels: int = MAX_PIXELS) -> bytes:
    """A video as JPEG pictures one behind the other (MJPEG), at most 64 of them, evenly spread over its first minute.

    MJPEG, animated GIF, WebP and PNG, and pictures, which are videos of one frame, need nothing else; MP4, WebM, AVI
    and others are decoded by the library PyAV, an extra.

    Args:
        data: the file's content.
        max_pixels: width times height of a frame, at most.

    Raises:
        MediaError: not a video, truncated or damaged, of too large frames, or of a format whose library is not
            installed.
    """
    container = _container_of(data)
    if container is not None:
        return b"".join(_by_av(data, container, max_pixels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns of large pictures; the limit here is lower
        frames = _of_jpegs(data, max_pixels) if data.startswith(_START) else _of_animation(data, max_pixels)
        return b"".join(frames)


def is_video(data: bytes) -> bool:
    """Whether the file is one of moving pictures: a container, several JPEG, or an animation."""
    if _container_of(data) is not None:
        return True
    if data.startswith(_START):
        end = jpeg_end(data)
        return end is not None and data[end : end + 2] == _START and b"MPF\0" not in data[:end]
    try:
        with open_picture(data) as picture:
            return picture.format in _ANIMATIONS and bool(getattr(picture, "is_animated", False))
    except Exception:  # as elsewhere: PIL raises whatever it stumbles over
        return False


def spread(number: int, wanted: int) -> list[int]:
    """The middles of `wanted` equal parts of `number` frames; all frames where there are no more."""
    count = min(number, wanted)
    return [(2 * place + 1) * number // (2 * count) for place in range(count)]


def _container_of(data: bytes) -> str | None:
    if data[4:8] == b"ftyp":
        return None if data[8:12] in _PICTURES else "MP4 or QuickTime"
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "AVI"
    return next((name for start, name in _CONTAINERS.items() if data.startswith(start)), None)


def _of_jpegs(data: bytes, max_pixels: int) -> Iterator[bytes]:
    parts, position = [], 0
    while data.startswith(_START, position) and len(parts) < _MAX_SCANNED:
        end = jpeg_end(data, position)
        if end is None:
            raise MediaError("truncated video", f"frame {len(parts) + 1} has no end")
        parts.append((position, end))
        position = end
    for place in spread(len(parts), MAX_FRAMES):
        frame = data[slice(*parts[place])]
        picture = _opened(frame, max_pixels)
        with picture:
            by_pillow(picture.load, frame, "video")
            fits = max(picture.size) <= _MAX_SIDE and picture.format == "JPEG"
            # the graph parts frames at their ends, and a thumbnail inside of one has an end too
            yield frame if fits and frame.count(_END) == 1 else by_pillow(lambda p=picture: _as_jpeg(p), frame, "video")


def _of_animation(data: bytes, max_pixels: int) -> Iterator[bytes]:
    with _opened(data, max_pixels) as picture:
        number = by_pillow(lambda: getattr(picture, "n_frames", 1), data, "video")
        for place in spread(min(number, _MAX_SCANNED), MAX_FRAMES):
            by_pillow(lambda place=place: (picture.seek(place), picture.load()), data, "video")
            yield by_pillow(lambda: _as_jpeg(picture), data, "video")


def _opened(data: bytes, max_pixels: int) -> Image.Image:
    picture = by_pillow(lambda: open_picture(data), data, "video")
    _check(*picture.size, max_pixels)
    return picture


def _check(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise MediaError("video too large", f"{width} x {height} pixels, at most {max_pixels} are decoded")


def _as_jpeg(picture: Image.Image) -> bytes:
    smaller, written = as_rgb(picture), io.BytesIO()
    smaller.info = {}  # a comment or a profile of colours would be written too, and could hold an end
    smaller.thumbnail((_MAX_SIDE, _MAX_SIDE))
    smaller.save(written, "JPEG", quality=95, subsampling=0)
    return written.getvalue()


def _by_av(data: bytes, what: str, max_pixels: int) -> Iterator[bytes]:
    try:
        import av
    except (ImportError, OSError):  # without its shared libraries it is an OSError
        raise MediaError(
            "video that needs av", f"{what}; pip install 'tfmmrec[video]', or convert it to an animated GIF or MJPEG"
        ) from None
    try:
        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.video[0]
            _check(stream.codec_context.width, stream.codec_context.height, max_pixels)
            number = 0
            for packet in container.demux(stream):
                number += packet.size > 0
                if number == _MAX_SCANNED:
                    break
            container.seek(0)
            wanted = set(spread(number, MAX_FRAMES))
            last = max(wanted, default=-1)
            frames = []
            for place, frame in enumerate(container.decode(stream)):
                if place in wanted:
                    _check(frame.width, frame.height, max_pixels)
                    frames.append(_as_jpeg(frame.to_image()))
                if place >= last:
                    break
    except MediaError:
        raise
    except Exception as error:  # as with pictures: a damaged file raises whatever its reader stumbles over
        raise MediaError("damaged video", f"{what}: {error or type(error).__name__}") from None
    if not frames:
        raise MediaError("empty video", f"{what} without a frame")
    yield from frames
