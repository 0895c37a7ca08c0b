import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders.frame_pooling import POOLINGS, FramePooling
from tfmmrec.types import UsageError

FRAMES = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
THERE = np.array([[True] * 4, [True, True, False, False], [True, False, False, False]])


def make(pooling):
    tf.keras.utils.set_random_seed(0)
    return FramePooling(5, 4, pooling)


def test_the_mean_of_the_frames_that_are_there():
    expected = [FRAMES[0].mean(axis=0), FRAMES[1, :2].mean(axis=0), FRAMES[2, 0]]
    np.testing.assert_allclose(make("mean")(FRAMES, THERE), expected, rtol=1e-5, atol=1e-6)


def test_attention_weighs_them():
    layer = make("attention")
    found = layer(FRAMES, THERE)
    hidden = np.tanh(FRAMES @ layer.hidden.kernel.numpy() + layer.hidden.bias.numpy())
    weights = np.exp(hidden @ layer.importance.kernel.numpy())[..., 0] * THERE
    weights /= weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, (weights[..., None] * FRAMES).sum(axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_what_is_not_there_does_not_count(pooling):
    layer = make(pooling)
    others = np.where(THERE[..., None], FRAMES, 9.0)
    np.testing.assert_allclose(layer(others, THERE), layer(FRAMES, THERE), atol=1e-6)


def test_the_order_counts_for_the_gru_alone():
    for pooling in POOLINGS:
        layer = make(pooling)
        forth, back = (layer(order, THERE[:1]).numpy() for order in (FRAMES[:1], FRAMES[:1, ::-1]))
        assert np.allclose(forth, back, atol=1e-5) == (pooling != "gru")


@pytest.mark.parametrize("pooling", POOLINGS)
def test_it_comes_back_from_its_config(pooling):
    layer = make(pooling)
    again = FramePooling.from_config(layer.get_config())
    expected = layer(FRAMES, THERE)
    again(FRAMES, THERE)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(FRAMES, THERE), expected)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(UsageError, match="pooling must be mean, attention or gru, got 'max'"):
        make("max")
