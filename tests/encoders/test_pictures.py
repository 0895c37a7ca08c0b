import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfmmrec.encoders.pictures import decode_pictures


def encoded(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, kind, **options)
    return file.getvalue()


def plain(colour, height=8, width=8):
    return np.full((height, width, 3), colour, np.uint8)


def test_a_picture_of_the_right_size_keeps_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    found, present = decode_pictures(tf.constant([encoded(pixels)]), 6, 9)
    assert found.dtype == tf.uint8 and present.numpy().tolist() == [True]
    np.testing.assert_array_equal(found[0], pixels)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_formats_and_sizes(kind):
    found, _ = decode_pictures(tf.constant([encoded(plain((200, 40, 90), 31, 17), kind)]), 8, 8)
    assert np.abs(found.numpy()[0].astype(int) - (200, 40, 90)).max() <= 3  # JPEG rounds


def test_grey_pictures_and_those_with_transparency():
    grey, clear = plain(77)[..., 0], np.concatenate([plain(77), plain(9)[..., :1]], axis=2)
    found, _ = decode_pictures(tf.constant([encoded(grey), encoded(clear)]), 8, 8)
    np.testing.assert_array_equal(found, np.full((2, 8, 8, 3), 77))


def test_the_first_frame_of_an_animation():
    frames = [Image.fromarray(plain(colour)) for colour in (250, 0)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    found, _ = decode_pictures(tf.constant([file.getvalue()]), 8, 8)
    assert found.numpy().min() >= 245


def test_a_large_picture_is_averaged_not_sampled():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    found, _ = decode_pictures(tf.constant([encoded(stripes)]), 8, 8)
    assert np.abs(found.numpy().astype(int)[:, :, 1:-1] - 128).max() <= 6


def test_a_missing_picture_is_zeros():
    found, present = decode_pictures(tf.constant([b"", encoded(plain(5))]), 8, 8)
    assert present.numpy().tolist() == [False, True]
    assert found.numpy()[0].max() == 0


def test_bytes_that_are_no_picture_are_refused():
    # a table's unreadable pictures are counted and emptied before; here somebody sent them to a served model
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        decode_pictures(tf.constant([b"not a picture"]), 8, 8)


@pytest.mark.parametrize(
    ("size", "rows", "columns"), [((12, 20), slice(0, 12), slice(4, 16)), ((9, 8), slice(0, 8), slice(0, 8))]
)
def test_what_juts_out_is_cut_off_evenly(size, rows, columns):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    side = rows.stop - rows.start
    found, _ = decode_pictures(tf.constant([encoded(pixels)]), side, side, crop=True)
    np.testing.assert_array_equal(found[0], pixels[rows, columns])


def test_a_picture_is_cut_to_the_form_and_then_resized():
    pixels = np.zeros((10, 40, 3), np.uint8)
    pixels[:, 10:30] = 200  # of 10×40 the middle 10×20 is left
    found, _ = decode_pictures(tf.constant([encoded(pixels)]), 4, 8, crop=True, method="bicubic", antialias=False)
    np.testing.assert_array_equal(found, np.full((1, 4, 8, 3), 200))
