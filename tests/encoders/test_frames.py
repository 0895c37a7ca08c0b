import io

import numpy as np
import tensorflow as tf
from PIL import Image

from tests.data.clips import animation, mjpeg
from tests.data.test_images import encoded
from tfmmrec.data.videos import spread, usable_video
from tfmmrec.encoders.frames import decode_frames, frame_pictures
from tfmmrec.encoders.pictures import decode_pictures

GREYS = list(range(0, 240, 20))


def seen(*files, num_frames=4):
    frames, mask = tf.function(lambda raw: decode_frames(raw, num_frames, 8, 12))(tf.constant(files))
    assert frames.shape == [len(files), num_frames, 8, 12, 3] and frames.dtype == tf.uint8
    return frames.numpy().mean(axis=(2, 3, 4)), mask.numpy()


def test_frames_are_evenly_spread_over_both_formats():
    greys, mask = seen(mjpeg(GREYS), animation(GREYS))
    expected = [GREYS[place] for place in spread(len(GREYS), 4)]
    np.testing.assert_allclose(greys, [expected, expected], atol=2)
    assert mask.all()


def test_short_videos_pictures_and_missing_ones():
    greys, mask = seen(mjpeg([50, 100]), animation([80, 30]), encoded("PNG"), b"", mjpeg([200]))
    assert mask.sum(axis=1).tolist() == [2, 2, 1, 0, 1] and all(row[: row.sum()].all() for row in mask)
    np.testing.assert_allclose(greys[[0, 1, 4]], [[50, 100, 0, 0], [80, 30, 0, 0], [200, 0, 0, 0]], atol=2)
    assert not greys[3].any()


def test_every_number_of_frames_is_parted_as_the_reader_parts_it():
    for number in range(1, 12):
        greys, _ = seen(mjpeg(GREYS[:number]), num_frames=5)
        expected = [GREYS[place] for place in spread(number, 5)]
        np.testing.assert_allclose(greys[0, : len(expected)], expected, atol=2)


def test_what_the_reader_makes_of_an_animation_looks_the_same():
    raw = animation(GREYS)
    greys, _ = seen(raw, usable_video(raw))
    np.testing.assert_allclose(greys[0], greys[1], atol=2)


def test_frames_of_a_short_video_in_the_place_of_those_that_it_lacks():
    raw = tf.constant([mjpeg([50, 100]), animation([80]), encoded("PNG"), b"", mjpeg(GREYS)])
    frames, mask = tf.function(lambda raw: decode_frames(raw, 4, 8, 12, repeat=True))(raw)
    greys = frames.numpy().mean(axis=(2, 3, 4))
    assert mask.numpy().tolist() == [[True] * 4] * 3 + [[False] * 4, [True] * 4]
    np.testing.assert_allclose(greys[:2], [[50, 50, 100, 100], [80] * 4], atol=2)
    np.testing.assert_allclose(greys[4], [GREYS[place] for place in spread(len(GREYS), 4)], atol=2)
    assert not greys[3].any() and np.ptp(greys[2]) == 0


def test_what_juts_out_is_cut_off_or_pressed_in():
    columns = np.repeat(np.arange(24, dtype=np.uint8)[None, :, None] * 10, 12, axis=0)  # 12 x 24, darker to the left
    picture = Image.fromarray(np.repeat(columns, 3, axis=2))
    for kind in ("GIF", "JPEG"):
        file = io.BytesIO()
        picture.save(file, kind, **({"quality": 98} if kind == "JPEG" else {}))
        (whole,), (middle,) = (
            decode_frames(tf.constant([file.getvalue()]), 1, 12, 12, crop)[0].numpy() for crop in (False, True)
        )
        expected = np.array([columns[0, 6:18, 0], columns[0].reshape(12, 2).mean(axis=1)])
        np.testing.assert_allclose(middle[0, 5, :, 1], expected[0], atol=4)
        np.testing.assert_allclose(whole[0, 5, 1:-1, 1], expected[1, 1:-1], atol=6)


def test_the_same_frames_as_bytes_of_pictures():
    raw = tf.constant([mjpeg(GREYS), animation([80, 30]), encoded("PNG"), b"", animation(GREYS)])
    pictures, mask = tf.function(lambda raw: frame_pictures(raw, 4))(raw)
    frames, expected = decode_frames(raw, 4, 8, 12)
    assert pictures.shape == [5, 4]
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(pictures.numpy() != b"", expected)
    pixels, _ = decode_pictures(tf.reshape(pictures, [-1]), 8, 12)
    np.testing.assert_array_equal(tf.reshape(pixels, frames.shape), frames)
