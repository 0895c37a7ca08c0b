import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfmmrec.encoders import ImageEncoder
from tfmmrec.encoders.image import decode_pictures
from tfmmrec.types import UsageError


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


def make(**options):
    tf.keras.utils.set_random_seed(0)
    return ImageEncoder(5, height=16, width=12, filters=(4, 6), **options)


def test_shapes_and_cells():
    encoder = make()
    raw = tf.constant([encoded(plain(9)), b""])
    inputs = encoder.preprocess(raw)
    assert inputs["pixels"].shape == [2, 16, 12, 3] and inputs["pixels"].dtype == tf.uint8
    found = encoder(inputs)
    assert found["vector"].shape == [2, 5]
    assert found["sequence"].shape == [2, 4 * 3, 6]  # two convolutions of stride 2: a quarter of each side
    assert found["sequence_mask"].numpy().tolist() == [[True] * 12, [False] * 12]


def test_it_computes_what_its_docstring_says():
    encoder = make()
    pixels = np.random.default_rng(1).integers(0, 256, (2, 16, 12, 3)).astype(np.uint8)
    inputs = {"pixels": tf.constant(pixels), "has_pixels": tf.constant([True, True])}
    found = encoder(inputs)
    x = pixels / 127.5 - 1.0
    for convolution, groups in zip(encoder.convolutions, (4, 2), strict=True):  # gcd(8, channels)
        x = tf.nn.conv2d(tf.constant(x, tf.float32), convolution.kernel, 2, "SAME").numpy()
        grouped = x.reshape(*x.shape[:3], groups, -1)
        mean = grouped.mean(axis=(1, 2, 4), keepdims=True)
        variance = grouped.var(axis=(1, 2, 4), keepdims=True)
        x = np.maximum(((grouped - mean) / np.sqrt(variance + 1e-3)).reshape(x.shape), 0.0)
    pooled = np.concatenate([x.mean(axis=(1, 2)), x.max(axis=(1, 2))], axis=1)
    np.testing.assert_allclose(found["vector"], encoder.projection(pooled), rtol=1e-3, atol=1e-4)


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="mode must be cached or finetuned for the small image network, got 'frozen'"):
        make(mode="frozen")
    with pytest.raises(UsageError, match="less than one pixel of 8×3; use at least 4 pixels or fewer filters"):
        ImageEncoder(5, height=8, width=3, filters=(4, 6))


def test_it_learns_to_tell_colours_apart():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 64)
    pixels = random.integers(0, 60, (64, 16, 12, 3))
    pixels[np.arange(64), ..., labels] += 150  # red or green
    encoder = make(mode="finetuned")
    inputs = {"pixels": tf.constant(pixels.astype(np.uint8)), "has_pixels": tf.ones([64], tf.bool)}
    optimizer = tf.keras.optimizers.Adam(0.02)
    for _ in range(20):
        with tf.GradientTape() as tape:
            logits = encoder(inputs, training=True)["vector"][:, :2]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        optimizer.minimize(loss, encoder.trainable_variables, tape)
    assert (tf.argmax(encoder(inputs)["vector"][:, :2], axis=1).numpy() == labels).all()
