import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tfmmrec.data.images import usable_picture
from tfmmrec.data.media import MediaError


def encoded(kind, mode="RGB", size=(20, 16), **options):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def huge_png():
    """30,000 × 30,000 by its header; its pixels are not even there."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("PNG", "1"),
    ],
)
def test_whole_jpeg_and_png_stay_as_they_are(kind, mode):
    data = encoded(kind, mode)
    assert usable_picture(data) == data


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("WEBP", "RGB"),
        ("TIFF", "CMYK"),
        ("BMP", "P"),
        ("BMP", "1"),
        ("GIF", "P"),
        ("PPM", "RGB"),
        ("PNG", "I;16"),
    ],
)
def test_other_formats_become_what_tensorflow_decodes(kind, mode):
    import tensorflow as tf

    data = encoded(kind, mode) if mode != "I;16" else _deep_png()
    usable = usable_picture(data)
    assert tf.io.decode_image(usable, channels=3, expand_animations=False).shape == (16, 20, 3)


def _deep_png():
    buffer = io.BytesIO()
    Image.fromarray(np.full((16, 20), 40_000, np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_png_without_its_end_is_mended():
    data = encoded("PNG")
    mended = usable_picture(data[:-12])
    assert mended.endswith(data[-12:])
    with Image.open(io.BytesIO(mended)) as one, Image.open(io.BytesIO(data)) as other:
        assert list(one.getdata()) == list(other.getdata())


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "not a picture"),
        (b"<html>404</html>", "not a picture"),
        (encoded("JPEG", size=(200, 200))[:3000], "damaged picture"),
        (encoded("PNG", size=(200, 200))[:3000], "damaged picture"),
        (encoded("WEBP", size=(200, 200))[:3000], "damaged picture"),
    ],
)
def test_unusable_pictures_are_named(data, kind):
    with pytest.raises(MediaError) as caught:
        usable_picture(data)
    assert caught.value.kind == kind


def test_a_huge_picture_is_refused_from_its_header():
    with pytest.raises(MediaError, match="picture too large: 900000000 pixels"):
        usable_picture(huge_png())
    with pytest.raises(MediaError, match="picture too large: 20 x 16 pixels, at most 319 are decoded"):
        usable_picture(encoded("PNG"), max_pixels=319)


def test_random_damage_never_reaches_tensorflow():
    """What is let through after bytes were changed, cut off or put in between, TensorFlow decodes."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def decode(data):
        return tf.io.decode_image(data, channels=3, expand_animations=False)

    random = np.random.default_rng(0)
    passed = 0
    for kind, mode in (
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
        ("PNG", "RGB"),
        ("PNG", "P"),
        ("GIF", "P"),
        ("BMP", "P"),
    ):
        whole = encoded(kind, mode)
        for trial in range(150):
            data, place = bytearray(whole), int(random.integers(len(whole)))
            if trial % 3 == 0:
                data[place] = random.integers(256)
            elif trial % 3 == 1:
                data = data[: max(place, len(data) - place % 40)]
            else:
                data[place:place] = random.bytes(random.integers(1, 9))
            try:
                usable = usable_picture(bytes(data))
            except MediaError:
                continue
            assert decode(usable).shape[-1] == 3
            passed += 1
    assert passed > 100
