import numpy as np
import pytest
import tensorflow as tf

from tests.data.waves import sine, tone
from tfmmrec.data.wave_structure import write_wave
from tfmmrec.encoders.waveforms import decode_waveforms, log_mel, mfcc, num_frames_of

LOUDNESS = 0.5 / np.sqrt(2)  # the root mean square of a sine of loudness .5


def heard(data, num_samples=16_000):
    waveforms, lengths = decode_waveforms(tf.constant([data]), num_samples)
    return waveforms.numpy()[0], int(lengths[0])


def rms(samples):
    return np.sqrt(np.mean(samples[500:-500] ** 2))  # without the ends, where the filter sees what is not there


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("hertz", [440, 3_000])
def test_the_frequency_is_kept_whatever_the_rate(rate, hertz):
    samples, length = heard(tone(hertz, rate, seconds=1.0))
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(16_000)))  # of one second: bins of 1 Hz
    assert (spectrum.argmax(), length) == (hertz, 16_000)
    # samples stand in the middle of the time that they cover, which is another middle at another rate
    times = (np.arange(16_000) + 0.5) / 16_000 - 0.5 / rate
    expected = 0.5 * np.sin(2 * np.pi * hertz * times)
    np.testing.assert_allclose(samples[500:-500], expected[500:-500], atol=0.01)


@pytest.mark.parametrize(("rate", "hertz"), [(44_100, 12_000), (48_000, 15_000), (96_000, 40_000)])
def test_what_sixteen_kilohertz_cannot_hold_is_left_out_and_not_folded_back(rate, hertz):
    samples, _ = heard(tone(hertz, rate, seconds=1.0))
    assert rms(samples) < 0.01 * LOUDNESS  # 40 dB less
    assert rms(heard(tone(3_000, rate, seconds=1.0))[0]) == pytest.approx(LOUDNESS, rel=0.01)


def test_the_same_rate_changes_nothing():
    samples, _ = heard(tone(1_000, seconds=1.0))
    np.testing.assert_allclose(samples, sine(1_000, 16_000, 1.0), atol=1e-4)


def test_channels_are_averaged():
    left, right = np.full(1600, 3000, "<i2"), np.full(1600, -1000, "<i2")
    samples, _ = heard(write_wave(np.stack([left, right], axis=1).tobytes(), 2, 16_000), 1600)
    np.testing.assert_allclose(samples, 1000 / 32768, atol=1e-6)


def test_longer_sounds_are_cut_shorter_ones_filled_up_and_missing_ones_zero():
    raw = tf.constant([tone(440, seconds=2.0), tone(440, 44_100, seconds=0.25), b""])
    waveforms, lengths = decode_waveforms(raw, 8000)
    assert waveforms.shape == [3, 8000] and lengths.numpy().tolist() == [8000, 4000, 0]
    assert np.abs(waveforms[1, 4020:]).max() < 1e-6 < np.abs(waveforms[1, :3980]).max()
    assert not waveforms[2].numpy().any()


def test_bands_against_numpy():
    waveform = np.random.default_rng(0).normal(0, 0.1, 1600).astype(np.float32)
    found = log_mel(tf.constant(waveform[None]), 8)
    assert found.shape == [1, num_frames_of(1600), 8] == [1, 8, 8]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)  # periodic Hann
    frames = np.stack([waveform[start : start + 400] * window for start in range(0, 1201, 160)])
    magnitudes = np.abs(np.fft.rfft(frames, 512))  # [8, 257]

    def mel(hertz):
        return 1127 * np.log(1 + hertz / 700)

    edges, bins = np.linspace(mel(125), mel(7500), 10), mel(np.linspace(0, 8000, 257))
    rising = (bins[:, None] - edges[None, :-2]) / np.diff(edges)[:-1]
    falling = (edges[None, 2:] - bins[:, None]) / np.diff(edges)[1:]
    weights = np.maximum(np.minimum(rising, falling), 0.0)  # triangles, [257, 8]
    expected = np.log(magnitudes @ weights + 0.01) - np.log(0.01)
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-3)


def test_a_tone_sounds_in_its_band_and_silence_is_zero():
    bands = log_mel(tf.constant(np.stack([sine(1000, 16_000, 0.2), np.zeros(3200)]), tf.float32), 64)
    edges = np.linspace(*(1127 * np.log(1 + np.array([125, 7500]) / 700)), 66)
    nearest = np.abs(edges[1:-1] - 1127 * np.log(1 + 1000 / 700)).argmin()
    assert np.abs(bands[0].numpy().mean(axis=0).argmax() - nearest) <= 1
    assert not bands[1].numpy().any()


def test_coefficients_against_numpy():
    bands = np.random.default_rng(0).normal(size=(2, 3, 8)).astype(np.float32)
    places = np.pi / 8 * (np.arange(8) + 0.5)
    cosines = np.stack([np.cos(order * places) for order in range(5)], axis=1)  # [8, 5]
    np.testing.assert_allclose(mfcc(tf.constant(bands), 5), np.sqrt(2 / 8) * bands @ cosines, rtol=1e-4, atol=1e-5)
