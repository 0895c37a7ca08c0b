import numpy as np
import tensorflow as tf

from tests.data.clips import animation, mjpeg
from tests.data.test_images import encoded
from tfmmrec.data.videos import spread, usable_video
from tfmmrec.encoders.frames import decode_frames

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
