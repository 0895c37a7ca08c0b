import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.pretraining import PretrainingOptions
from tfmmrec.pretraining.image_text import ImageText, clip_loss
from tfmmrec.pretraining.trainable_encoder import TrainableEncoder


def test_the_loss_is_clip_s():
    texts, pictures = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    same = np.eye(5, dtype=bool)
    same[0, 3] = same[3, 0] = True  # two candidates of the same text
    cosines = (texts / np.linalg.norm(texts, axis=1, keepdims=True)) @ (
        pictures / np.linalg.norm(pictures, axis=1, keepdims=True)
    ).T
    left_out = np.where(same & ~np.eye(5, dtype=bool), -np.inf, 4.0 * cosines)
    rows = np.log(np.exp(left_out).sum(1)) - np.diag(left_out)
    columns = np.log(np.exp(left_out).sum(0)) - np.diag(left_out)
    hits = np.concatenate([left_out.argmax(1) == np.arange(5), left_out.argmax(0) == np.arange(5)])
    loss, found = clip_loss(tf.constant(texts), tf.constant(pictures), tf.constant(4.0), tf.constant(same))
    assert float(loss) == pytest.approx((rows + columns).mean() / 2, rel=1e-5)
    assert float(found) == pytest.approx(hits.mean())


def test_all_that_is_trained_gets_a_gradient(small_image, small_text):
    encoders = {"photo": TrainableEncoder(small_image), "name": TrainableEncoder(small_text)}
    goal = ImageText(encoders, PretrainingOptions(projection_dim=5))
    assert goal.features == ["name", "photo"], "whatever the order they are named in"
    pixels = tf.constant(np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3)), tf.uint8)
    inputs = {
        "photo": {"pixels": pixels, "group": tf.range(4)},
        "name": goal.preprocess("name", tf.constant(["red", "green", "red", "red lily"]))
        | {"group": tf.constant([0, 1, 0, 2])},
    }
    with tf.GradientTape() as tape:
        loss, _ = goal.loss(inputs, tf.constant([1, 2]))
    weights = [*encoders["photo"].trainable, *encoders["name"].trainable, *goal.head]
    assert all(gradient is not None for gradient in tape.gradient(loss, weights))
    assert np.exp(goal.scale.numpy()) == pytest.approx(1 / 0.07) and goal.chance(4) == pytest.approx(np.log(4))
