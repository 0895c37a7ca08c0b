import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tfmmrec.data.images import as_rgb, usable_picture
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


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("PNG", np.array([0, 256, 25_600, 65_535], np.uint16), [0, 1, 100, 255]),
        ("TIFF", np.array([0, 256, 25_600, 65_535], np.uint16), [0, 1, 100, 255]),
        ("TIFF", np.array([0, 256, 25_600, 65_535], ">u2"), [0, 1, 100, 255]),
        ("TIFF", np.array([0, 257, 25_700, 65_535], np.int32), [0, 1, 100, 255]),  # parts of 65,535
        ("TIFF", np.array([0, 7, 100, 255], np.int32), [0, 7, 100, 255]),
        ("TIFF", np.array([-510, 0, 0, 510], np.int32), [0, 128, 128, 255]),  # from the least to the greatest
        ("TIFF", np.array([0, 0.2, 0.4, 1], np.float32), [0, 51, 102, 255]),
        ("TIFF", np.array([0, 51, 102, np.nan], np.float32), [0, 51, 102, 0]),
        ("TIFF", np.array([-7, -7, -7, -7], np.float32), [0, 0, 0, 0]),
    ],
)
def test_greys_of_more_bits(kind, values, expected):
    if values.dtype.byteorder == ">":
        data = _big_endian_tiff(values)
    else:
        buffer = io.BytesIO()
        Image.fromarray(values[None]).save(buffer, kind)
        data = buffer.getvalue()
    with Image.open(io.BytesIO(data)) as picture:
        assert as_rgb(picture).mode == "RGB"
        np.testing.assert_array_equal(np.asarray(as_rgb(picture)), np.stack([[expected]] * 3, -1))
    if kind == "TIFF":
        with Image.open(io.BytesIO(usable_picture(data))) as usable:
            assert np.asarray(usable)[0, :, 0].tolist() == expected


def _big_endian_tiff(values):
    """One row of 16-bit greys, as Motorola's processors write it."""
    tags = [(256, len(values)), (257, 1), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1)]
    tags.append((279, values.nbytes))
    listed = b"".join(struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    start = struct.pack(">2sHI", b"MM", 42, 8 + values.nbytes)
    return start + values.tobytes() + struct.pack(">H", len(tags)) + listed + bytes(4)
