"""What a picture, a sound or a video must be so that TensorFlow's ops take it, by the kind of feature."""

from __future__ import annotations

from tfmmrec.data.images import MAX_PIXELS, usable_picture
from tfmmrec.data.sounds import is_sound, usable_sound
from tfmmrec.data.videos import is_video, usable_video


def usable_media(kind: str, data: bytes, max_pixels: int = MAX_PIXELS) -> bytes:
    """The bytes in a form that the encoder of this kind decodes in the graph, checked here: there one bad row would
    end its whole batch.

    Args:
        kind: image, audio or video.
        data: the file's content.
        max_pixels: of a picture, or of a video's frame.

    Raises:
        MediaError: it cannot be used.
    """
    if kind == "audio":
        return usable_sound(data)
    return usable_picture(data, max_pixels) if kind == "image" else usable_video(data, max_pixels)


def kind_of_bytes(data: bytes) -> str:
    """The kind of feature that such a file is for: audio or video, else image."""
    if is_video(data):
        return "video"
    return "audio" if is_sound(data) else "image"
