"""What a picture, a sound or a video must be so that TensorFlow's ops take it, by the kind of feature."""

from __future__ import annotations

from tfmmrec.data.images import MAX_PIXELS, usable_picture
from tfmmrec.data.sounds import is_sound, usable_sound


def usable_media(kind: str, data: bytes, max_pixels: int = MAX_PIXELS) -> bytes:
    """The bytes in a form that the encoder of this kind decodes in the graph, checked here: there one bad row would
    end its whole batch.

    Args:
        kind: image or audio.
        data: the file's content.
        max_pixels: of a picture.

    Raises:
        MediaError: it cannot be used.
    """
    return usable_picture(data, max_pixels) if kind == "image" else usable_sound(data)


def kind_of_bytes(head: bytes) -> str:
    """The kind of feature whose files begin with such bytes: audio, else image."""
    return "audio" if is_sound(head) else "image"
