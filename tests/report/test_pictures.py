"""Small JPEG data URIs, and nothing for what is no picture."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from tests.data.clips import animation, mjpeg
from tests.report.conftest import picture_bytes
from tfmmrec.report.pictures import picture_uri, typical_shape


def decoded(uri: str) -> Image.Image:
    head, data = uri.split(",", 1)
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF"])
def test_large_pictures_are_scaled_down_in_proportion(format):
    picture = decoded(picture_uri(picture_bytes("blue", (600, 900), format), 100, 120))
    assert picture.size == (80, 120)
    assert picture.getpixel((40, 60))[2] > 200


def test_small_pictures_stay():
    assert decoded(picture_uri(picture_bytes(size=(30, 20)))).size == (30, 20)


def test_what_is_transparent_becomes_white():
    picture = decoded(picture_uri(picture_bytes((0, 0, 0, 0), (16, 16), mode="RGBA")))
    assert min(picture.getpixel((8, 8))) > 250


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "MJPEG"])
@pytest.mark.parametrize(("number", "every"), [(3, 1), (40, 3)])  # at most sixteen are kept
def test_animations_still_move(kind, number, every):
    shown = [(90 * place) % 256 for place in range(number)]
    uri = picture_uri(mjpeg(shown) if kind == "MJPEG" else animation(shown, kind))
    assert uri.startswith("data:image/webp;base64,")
    small = Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))
    greys = []
    for place in range(small.n_frames):
        small.seek(place)
        greys.append(small.convert("RGB").getpixel((2, 2))[0])
    expected = shown[::every]
    assert len(greys) == len(expected)
    assert max(abs(a - b) for a, b in zip(greys, expected, strict=True)) < 12


@pytest.mark.parametrize("data", [b"", b"no picture", picture_bytes(size=(64, 64), format="JPEG")[:200]])
def test_no_picture_gives_none(data):
    assert picture_uri(data) is None


def test_typical_shape():
    tall, wide, broken = picture_bytes(size=(30, 40)), picture_bytes(size=(90, 10)), b"broken"
    assert typical_shape([tall, broken, tall, wide]) == 0.75
    assert typical_shape([wide]) == 1.5, "no wider than a strip can show"
    assert typical_shape([broken]) == 1.0
