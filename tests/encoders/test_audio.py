import numpy as np
import pytest
import tensorflow as tf

from tests.data.waves import tone
from tfmmrec.encoders import AudioEncoder
from tfmmrec.encoders.rhythm import onset_autocorrelation
from tfmmrec.types import UsageError


def make(**options):
    tf.keras.utils.set_random_seed(0)
    return AudioEncoder(5, **({"seconds": 0.4, "num_bands": 16, "num_coefficients": 8, "filters": (4, 6)} | options))


@pytest.mark.parametrize(("features", "width"), [("log_mel", 16), ("mfcc", 8)])
def test_shapes(features, width):
    encoder = make(features=features)
    inputs = encoder.preprocess(tf.constant([tone(440, 44_100, num_channels=2), b""]))
    frames = 1 + (6400 - 400) // 160
    assert inputs["bands"].shape == [2, frames, width] and inputs["bands"].dtype == tf.float16
    assert inputs["has_sound"].numpy().tolist() == [True, False] and inputs["num_frames"].numpy().tolist() == [
        frames,
        0,
    ]
    found = encoder(inputs)
    assert found["vector"].shape == [2, 5]
    assert found["sequence"].shape == [2, 10 * width // 4, 6]  # two convolutions of stride 2: a quarter of each side
    assert found["sequence_mask"].numpy().any(axis=1).tolist() == [True, False]


def test_a_short_sound_is_pooled_over_its_own_length():
    encoder = make()
    short = encoder(encoder.preprocess(tf.constant([tone(440, seconds=0.1)])))  # 8 frames: 2 of 10 rows of 4 cells
    assert short["sequence_mask"].numpy().tolist() == [[True] * 8 + [False] * 32]
    kept = short["sequence"].numpy()[0, :8]
    pooled = np.concatenate([kept.mean(axis=0), kept.max(axis=0)])[None]
    inputs = encoder.preprocess(tf.constant([tone(440, seconds=0.1)]))
    lags = onset_autocorrelation(inputs["bands"], inputs["num_frames"], 19)  # half of 38 frames
    np.testing.assert_allclose(inputs["lags"], lags, atol=1e-2)  # the bands are rounded
    lags = inputs["lags"].numpy().astype(np.float32)
    rhythm = np.maximum(lags @ encoder.rhythm.kernel, 0.0) @ encoder.rhythm_projection.kernel
    np.testing.assert_allclose(short["vector"], encoder.projection(pooled) + rhythm, rtol=1e-4, atol=1e-5)
    blink = encoder.preprocess(tf.constant([tone(440, seconds=0.01)]))  # shorter than a window: there all the same
    assert blink["num_frames"].numpy().tolist() == [1] and blink["bands"].numpy().any()


def test_pitches_can_be_told_apart():
    random, low = np.random.default_rng(0), np.arange(48) % 2 == 0
    raw = [tone(random.uniform(200, 600) if is_low else random.uniform(1500, 4000), seconds=0.4) for is_low in low]
    encoder = make(mode="finetuned")
    inputs = encoder.preprocess(tf.constant(raw))
    optimizer, labels = tf.keras.optimizers.Adam(0.02), low.astype(int)
    for _ in range(30):
        with tf.GradientTape() as tape:
            logits = encoder(inputs, training=True)["vector"][:, :2]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        optimizer.minimize(loss, encoder.trainable_variables, tape)
    assert (tf.argmax(encoder(inputs)["vector"][:, :2], axis=1).numpy() == labels).all()


def test_the_rhythm_is_that_of_the_bands_whatever_is_seen():
    raw = tf.constant([tone(440, seconds=0.3)])
    bands, coefficients = (make(features=name).preprocess(raw) for name in ("log_mel", "mfcc"))
    np.testing.assert_array_equal(coefficients["lags"], bands["lags"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "frozen"}, r"mode \(audio_mode\) must be .* for the small audio network, got 'frozen'"),
        ({"features": "chroma"}, "features must be log_mel or mfcc, got 'chroma'"),
        ({"num_coefficients": 17}, "num_coefficients must lie in 1 to num_bands=16, got 17"),
        ({"seconds": 0.05}, "seconds must lie in 0.055 to 30 for 2 convolutions, got 0.05"),
        ({"seconds": 31}, "seconds must lie in 0.055 to 30 for 2 convolutions, got 31"),
        ({"num_bands": 3, "num_coefficients": 3}, "halve 3 bands to less than one; use at least 4, or fewer filters"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        make(**options)
