import numpy as np
import pytest
import tensorflow as tf

from tests.data.waves import as_int16
from tfmmrec.data.wave_structure import write_wave
from tfmmrec.encoders.rhythm import onset_autocorrelation
from tfmmrec.encoders.waveforms import decode_waveforms, log_mel


def by_hand(bands, number, num_lags):
    onsets = np.maximum(np.diff(bands[:number], axis=0), 0.0).mean(axis=1)
    onsets = onsets - onsets.mean()
    lagged = [onsets[lag:] @ onsets[:-lag] if lag < len(onsets) else 0.0 for lag in range(1, num_lags + 1)]
    return np.array(lagged) / (onsets @ onsets)


def test_it_is_what_the_docstring_says():
    bands = np.random.default_rng(0).normal(size=(3, 21, 4)).astype(np.float32)
    found = onset_autocorrelation(tf.constant(bands), tf.constant([21, 12, 21]), 8)
    expected = [by_hand(bands[0], 21, 8), by_hand(bands[1], 12, 8), by_hand(bands[2], 21, 8)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_what_lies_behind_a_sound_does_not_count():
    bands = np.random.default_rng(0).normal(size=(1, 21, 4)).astype(np.float32)
    found = onset_autocorrelation(tf.constant(bands), tf.constant([12]), 8)
    bands[:, 12:] = 9.0
    np.testing.assert_allclose(onset_autocorrelation(tf.constant(bands), tf.constant([12]), 8), found, atol=1e-6)


@pytest.mark.parametrize("number", [0, 1, 21])
def test_where_nothing_begins_it_is_zero(number):
    assert not onset_autocorrelation(tf.ones([1, 21, 4]), tf.constant([number]), 8).numpy().any()


@pytest.mark.parametrize("beat", [0.3, 0.5, 0.8])
def test_it_peaks_at_the_beat(beat):
    random, samples = np.random.default_rng(0), np.zeros(3 * 16_000)
    for start in np.arange(0.1, 2.9, beat):
        at = int(start * 16_000)
        samples[at : at + 480] = random.normal(size=480)[: len(samples) - at] * 0.3
    raw = tf.constant([write_wave(as_int16(samples), 1, 16_000)])
    waveforms, _ = decode_waveforms(raw, len(samples))
    found = onset_autocorrelation(log_mel(waveforms, 64), tf.constant([298]), 149).numpy()[0]
    assert abs(found.argmax() + 1 - beat * 100) <= 2  # frames of 10 ms
