import io
import sys

import numpy as np
import pytest
from PIL import Image, features

from tests.data.clips import animation, mjpeg, plain_frames
from tests.data.test_images import encoded, huge_png
from tfmmrec.data.media import MediaError
from tfmmrec.data.picture_structure import jpeg_end
from tfmmrec.data.usable_media import kind_of_bytes
from tfmmrec.data.videos import MAX_FRAMES, is_video, spread, usable_video

GREYS = [10, 60, 110, 160, 210]


def greys_of(data):
    """The mean of each frame of an MJPEG."""
    means, position = [], 0
    while position < len(data):
        end = jpeg_end(data, position)
        with Image.open(io.BytesIO(data[position:end])) as frame:
            means.append(np.asarray(frame).mean())
        position = end
    return means


def test_mjpeg_stays_as_it_is_but_for_what_stands_behind_it():
    assert usable_video(mjpeg(GREYS)) == mjpeg(GREYS)
    assert usable_video(mjpeg(GREYS) + b"something") == mjpeg(GREYS)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animations_become_mjpeg(kind):
    np.testing.assert_allclose(greys_of(usable_video(animation(GREYS, kind))), GREYS, atol=2)


def test_a_picture_is_a_video_of_one_frame():
    assert len(greys_of(usable_video(encoded("PNG")))) == 1 and len(greys_of(usable_video(encoded("JPEG")))) == 1


def test_of_many_frames_some_are_kept_evenly_spread():
    greys = list(range(200))
    kept = greys_of(usable_video(mjpeg(greys)))
    assert len(kept) == MAX_FRAMES
    np.testing.assert_allclose(kept, [greys[place] for place in spread(200, MAX_FRAMES)], atol=2)


def test_frames_are_the_middles_of_equal_parts():
    assert spread(8, 4) == [1, 3, 5, 7] and spread(9, 3) == [1, 4, 7]
    assert spread(3, 8) == [0, 1, 2] and spread(8, 8) == list(range(8)) and spread(0, 4) == []


def test_a_frame_with_an_end_inside_of_it_is_written_anew():
    frame = mjpeg([90], comment=b"a thumbnail \xff\xd9 has an end too")
    usable = usable_video(frame + mjpeg([30]))
    assert usable.count(b"\xff\xd9") == 2
    np.testing.assert_allclose(greys_of(usable), [90, 30], atol=2)


def test_large_frames_become_smaller():
    file = io.BytesIO()
    plain_frames([50], 1000, 300)[0].save(file, "JPEG")
    with Image.open(io.BytesIO(usable_video(file.getvalue()))) as picture:
        assert picture.size == (640, 192)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "not a video"),
        (b"<html>404</html>", "not a video"),
        (mjpeg(GREYS)[:-20], "truncated video"),
        (animation(GREYS)[:-40], "damaged video"),
        (huge_png(), "video too large"),
    ],
)
def test_unusable_videos_are_named(data, kind):
    with pytest.raises(MediaError) as caught:
        usable_video(data)
    assert caught.value.kind == kind
    with pytest.raises(MediaError, match="video too large: 24 x 16 pixels, at most 383 are decoded"):
        usable_video(mjpeg(GREYS), max_pixels=383)


@pytest.mark.parametrize(("data", "what"), [(b"\0\0\0\x18ftypisom", "MP4"), (b"RIFF\0\0\0\0AVI LIST", "AVI")])
def test_without_the_library_a_message_says_how_to_get_it(data, what, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MediaError) as caught:
        usable_video(data)
    assert caught.value.kind == "video that needs av"
    assert what in caught.value.found and "pip install 'tfmmrec[video]'" in caught.value.found


def test_what_moves_is_a_video():
    assert all(map(is_video, (animation([1, 200]), animation([1, 200], "WEBP"), mjpeg([1, 2]), b"\x1a\x45\xdf\xa3")))
    assert not any(map(is_video, (animation([1]), encoded("PNG"), mjpeg([1]), b"RIFF\0\0\0\0WAVE", b"")))


@pytest.mark.parametrize("kind", ["AVIF", "MPO", "TIFF"])
def test_pictures_that_resemble_videos_are_pictures(kind):
    if not features.check("avif") and kind == "AVIF":
        pytest.skip("PIL without AVIF")
    data = animation([1, 200], kind) if kind != "AVIF" else encoded(kind)
    assert kind_of_bytes(data) == "image"
    assert greys_of(usable_video(data))


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_brands_of_pictures_need_no_library_of_videos(brand):
    assert not is_video(b"\0\0\0\x18ftyp" + brand) and is_video(b"\0\0\0\x18ftypisom")
    with pytest.raises(MediaError, match="not a video"):
        usable_video(b"\0\0\0\x18ftyp" + brand + bytes(40))


def test_greys_of_sixteen_bits_keep_their_shades():
    file = io.BytesIO()
    Image.fromarray(np.full((16, 24), 100 * 256, np.uint16)).save(file, "PNG")
    np.testing.assert_allclose(greys_of(usable_video(file.getvalue())), [100], atol=2)


@pytest.mark.parametrize(("container", "codec"), [("mp4", "mpeg4"), ("avi", "mjpeg"), ("matroska", "mpeg4")])
def test_containers_are_decoded(container, codec):
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for grey in GREYS * 30:
            output.mux(stream.encode(av.VideoFrame.from_image(plain_frames([grey], 64, 48)[0])))
        output.mux(stream.encode())
    kept = greys_of(usable_video(file.getvalue()))
    expected = [(GREYS * 30)[place] for place in spread(150, MAX_FRAMES)]
    np.testing.assert_allclose(kept, expected, atol=12)
    with pytest.raises(MediaError, match="video too large: 64 x 48 pixels"):
        usable_video(file.getvalue(), max_pixels=64 * 48 - 1)
    with pytest.raises(MediaError, match="damaged video"):
        usable_video(file.getvalue()[:40])
