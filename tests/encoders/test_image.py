import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfmmrec.encoders import ImageEncoder
from tfmmrec.types import UsageError


def encoded(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, kind, **options)
    return file.getvalue()


def plain(colour, height=8, width=8):
    return np.full((height, width, 3), colour, np.uint8)


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
    with pytest.raises(UsageError, match=r"mode \(image_mode\) must be .* for the small image network, got 'frozen'"):
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


def test_pictures_are_changed_in_training_alone():
    encoder, plain_one = make(augmentation="full"), make()
    raw = tf.constant([encoded(np.random.default_rng(3).integers(0, 256, (16, 12, 3))), b""])
    inputs = encoder.preprocess(raw)
    expected = encoder(inputs)["vector"].numpy()
    plain_one.build()
    for one, other in zip(plain_one.trainable_variables, encoder.trainable_variables, strict=True):
        one.assign(other)
    np.testing.assert_array_equal(plain_one(inputs, training=True)["vector"], expected)
    first, second = (encoder(inputs, training=True)["vector"].numpy() for _ in range(2))
    assert np.abs(first[0] - expected[0]).max() > 1e-3 and np.abs(first[0] - second[0]).max() > 1e-3
    assert not first[1].any()  # no picture is none, whatever is done to it
    np.testing.assert_array_equal(encoder(inputs, training=False)["vector"], expected)
    assert ImageEncoder.from_config(encoder.get_config()).augmentation.manner == "full"
