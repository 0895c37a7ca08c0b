import io

import pytest
from PIL import Image

from tfmmrec.data.picture_structure import is_whole_jpeg, is_whole_png


def encoded(kind, **options):
    buffer = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((64, 64)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100}, {"comment": b"\xff\xd9"}])
def test_whole_jpegs(options):
    data = encoded("JPEG", **options)
    assert is_whole_jpeg(data) and is_whole_jpeg(data + b"something behind it")
    assert not is_whole_jpeg(data[:-1])
    assert not is_whole_jpeg(data[: len(data) // 2])


def test_a_marker_inside_the_scan_breaks_a_jpeg():
    data = encoded("JPEG")
    place = len(data) - 30
    assert not is_whole_jpeg(data[:place] + b"\xff\x01" + data[place + 2 :])


def test_whole_pngs():
    data = encoded("PNG")
    assert is_whole_png(data) and is_whole_png(data + b"something behind it")
    assert not is_whole_png(data[:-1]) and not is_whole_png(data[:-12])
    assert not is_whole_png(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    assert not is_whole_png(b"")
