import io
import wave

import numpy as np
import pytest

from tfmmrec.data.songs_sounds import RATE, REGISTERS, SECONDS, TEMPOS, TIMBRES, synthesise, wav_bytes
from tfmmrec.types import UsageError


def heard(tempo="walking", timbre="flute", register="middle", seed=0):
    return synthesise(tempo, timbre, register, np.random.default_rng(seed)).astype(float) / 32767


def spectrum(sound):
    return np.abs(np.fft.rfft(sound)), np.fft.rfftfreq(sound.size, 1 / RATE)


@pytest.mark.parametrize("timbre", TIMBRES)
def test_a_sound_is_of_its_length_and_loud_but_not_clipped(timbre):
    sound = heard(timbre=timbre)
    assert sound.shape == (int(SECONDS * RATE),)
    assert 0.3 < np.abs(sound).max() < 1.0 and np.isfinite(sound).all()


def test_the_same_randomness_gives_the_same_sound():
    np.testing.assert_array_equal(heard(seed=3), heard(seed=3))
    assert not np.array_equal(heard(seed=3), heard(seed=4))


def test_clicks_keep_the_tempo():
    """What is above all notes of a flute is clicks: their distance is the beat."""
    for tempo, beats in TEMPOS.items():
        sound = heard(tempo, register="low", seed=1)
        power, frequencies = np.fft.rfft(sound), np.fft.rfftfreq(sound.size, 1 / RATE)
        clicks = np.abs(np.fft.irfft(np.where(frequencies > 3000, power, 0)))
        loud = np.flatnonzero(clicks > 0.4 * clicks.max())
        starts = loud[np.concatenate([[True], np.diff(loud) > 0.1 * RATE])]
        assert np.median(np.diff(starts)) / RATE == pytest.approx(60.0 / beats, rel=0.06)


def test_registers_are_octaves_apart():
    centres = []
    for register in REGISTERS:
        power, frequencies = spectrum(np.concatenate([heard(register=register, seed=seed) for seed in range(5)]))
        tones = (power > 0.2 * power.max()) & (frequencies < 2000)
        centres.append(np.average(frequencies[tones], weights=power[tones]))
    assert 1.6 < centres[1] / centres[0] < 2.5 and 1.6 < centres[2] / centres[1] < 2.5


def test_a_reed_has_odd_harmonics_and_strings_have_all():
    def second_over_third(timbre):
        total = []
        for seed in range(5):
            sound = heard("slow", timbre, seed=seed)[int(0.1 * RATE) :]
            power, frequencies = spectrum(sound)
            first = frequencies[np.where(frequencies < 420, power, 0).argmax()]
            near = [power[np.abs(frequencies - number * first) < 4].max() for number in (2, 3)]
            total.append(near[0] / near[1])
        return np.median(total)

    assert second_over_third("reed") < 0.6 < 1.0 < second_over_third("strings")


def test_names_that_do_not_exist_are_refused():
    for names, message in (
        (("endless", "flute", "low"), "tempo 'endless' does not exist in the catalogue; pass one of slow, walking"),
        (("slow", "kazoo", "low"), "timbre 'kazoo' does not exist"),
        (("slow", "flute", "deep"), "register 'deep' does not exist"),
    ):
        with pytest.raises(UsageError, match=message):
            synthesise(*names, np.random.default_rng(0))


def test_a_file_has_the_samples():
    samples = np.array([0, 1000, -1000, 32767, -32768], np.int16)
    with wave.open(io.BytesIO(wav_bytes(samples, 16000))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        np.testing.assert_array_equal(np.frombuffer(file.readframes(5), "<i2"), samples)
