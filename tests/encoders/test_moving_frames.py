import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders.moving_frames import MovingFrames
from tfmmrec.types import UsageError


def make():
    tf.keras.utils.set_random_seed(0)
    network = MovingFrames(5, 8, 8, (4, 6))
    network.build(None)
    return network


def random_frames(batch):
    return np.random.default_rng(0).integers(0, 256, (batch, 3, 8, 8, 3)).astype(np.uint8)


def test_a_frame_is_seen_with_what_changed_since_the_one_before():
    network, frames = make(), random_frames(1)
    x = frames.astype(np.float32) / 127.5 - 1.0
    changed = np.concatenate([np.zeros_like(x[:, :1]), np.diff(x, axis=1)], axis=1)
    grid = np.concatenate([x, changed], axis=-1)[0]
    expected = network.embed_grid(tf.constant(grid), tf.ones([3], tf.bool))["vector"]
    found = network(tf.constant(frames), tf.ones([1, 3], tf.bool))
    np.testing.assert_allclose(found, expected[None], rtol=1e-4, atol=1e-5)


def test_nothing_changed_where_a_frame_or_the_one_before_is_missing():
    network, frames = make(), random_frames(1)
    mask = tf.constant([[True, True, False]])
    found = network(tf.constant(frames), mask).numpy()
    frames[:, 2] = 0
    np.testing.assert_array_equal(network(tf.constant(frames), mask), found)
    assert found[0, :2].any(axis=1).all() and not found[0, 2].any()


def test_too_small_frames_are_refused():
    with pytest.raises(UsageError, match="less than one pixel of 3×8"):
        MovingFrames(5, 3, 8, (4, 6))
