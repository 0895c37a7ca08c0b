import io
import sys

import numpy as np
import pytest

from tests.data.waves import as_int16, sine, tone, wave_of
from tfmmrec.data.media import MediaError
from tfmmrec.data.sounds import MAX_SECONDS, is_sound, usable_sound
from tfmmrec.data.wave_structure import read_wave, write_wave


def samples_of(data):
    found = read_wave(data)
    assert (found.encoding, found.bits) == (1, 16)
    return np.frombuffer(data[found.start :], "<i2").reshape(-1, found.num_channels)


def test_sixteen_bits_stay_as_they_are():
    for data in (tone(440), tone(440, 44_100, num_channels=2)):
        assert usable_sound(data) == data


def test_other_pcm_becomes_sixteen_bits():
    values = np.array([-1.0, -0.5, 0.0, 0.25, 0.5])
    expected = (values * 32768).astype(np.int16)
    eight = (values * 128 + 128).astype(np.uint8).tobytes()
    thirty_two = (values * 2**31).astype("<i4")
    twenty_four = np.frombuffer(thirty_two.tobytes(), np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    for samples, encoding, bits in (
        (eight, 1, 8),
        (twenty_four, 1, 24),
        (thirty_two.tobytes(), 1, 32),
        (values.astype("<f4").tobytes(), 3, 32),
        (values.astype("<f8").tobytes(), 3, 64),
    ):
        np.testing.assert_array_equal(samples_of(usable_sound(wave_of(samples, encoding, bits)))[:, 0], expected)
    loud = np.array([2.0, -2.0, np.nan], "<f4").tobytes()
    assert samples_of(usable_sound(wave_of(loud, 3, 32)))[:, 0].tolist() == [32767, -32768, 0]


def test_of_a_long_sound_the_beginning_is_kept():
    data = write_wave(np.arange(8000 * 2 * 40).astype("<i2").tobytes(), 2, 8000)
    kept = samples_of(usable_sound(data))
    assert kept.shape == (8000 * MAX_SECONDS, 2) and kept[1].tolist() == [2, 3]
    assert len(samples_of(usable_sound(data, max_seconds=1))) == 8000


@pytest.mark.parametrize(
    ("data", "kind", "found"),
    [
        (b"", "not a sound", "0 bytes starting with b''"),
        (b"<html>404</html>", "not a sound", "16 bytes starting with b'<html>40'"),
        (tone(440)[:30], "damaged sound", "without its parts"),
        (tone(440)[:-100], "truncated sound", "15900 of 16000 bytes of samples are there"),
        (write_wave(b"", 1, 8000), "empty sound", "no samples"),
        (write_wave(bytes(8), 0, 8000), "damaged sound", "0 channels, 8000 samples a second"),
        (write_wave(bytes(8), 1, 2**30), "damaged sound", "1 channels, 1073741824 samples a second"),
        (wave_of(bytes(8), 1, 12), "damaged sound", "samples of 12 bits in WAV format 1"),
    ],
)
def test_unusable_sounds_are_named(data, kind, found):
    with pytest.raises(MediaError) as caught:
        usable_sound(data)
    assert caught.value.kind == kind and found in caught.value.found


@pytest.mark.parametrize(("data", "what"), [(b"fLaC....", "FLAC"), (wave_of(bytes(8), 7, 8), "not PCM (format 7)")])
def test_without_the_library_a_message_says_how_to_get_it(data, what, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MediaError) as caught:
        usable_sound(data)
    assert caught.value.kind == "sound that needs soundfile"
    assert what in caught.value.found and "pip install 'tfmmrec[audio]'" in caught.value.found


def test_the_first_bytes_tell_a_sound():
    assert all(map(is_sound, (tone(440)[:16], b"fLaC", b"ID3\x04", b"OggS", b"\xff\xfb\x90\x00")))
    assert not any(map(is_sound, (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"")))


@pytest.mark.parametrize(("kind", "exact"), [("FLAC", True), ("OGG", False), ("MP3", False), ("AIFF", True)])
def test_compressed_sounds_are_decoded(kind, exact):
    soundfile = pytest.importorskip("soundfile")
    samples, file = sine(440, 16_000, 1.0), io.BytesIO()
    soundfile.write(file, np.frombuffer(as_int16(samples), "<i2"), 16_000, format=kind)
    usable = usable_sound(file.getvalue())
    found = read_wave(usable)
    assert (found.num_channels, found.rate) == (1, 16_000)
    decoded = samples_of(usable)[:, 0] / 32767
    if exact:
        np.testing.assert_allclose(decoded, samples, atol=1e-4)
    spectrum = np.abs(np.fft.rfft(decoded[:16_000] * np.hanning(len(decoded[:16_000]))))
    assert spectrum.argmax() == 440
    with pytest.raises(MediaError, match="truncated sound" if kind == "AIFF" else "damaged sound"):
        usable_sound(file.getvalue()[:20])


@pytest.mark.parametrize(("kind", "offset"), [("AIFF", 4), ("AU", 8)])
def test_half_a_sound_is_none(kind, offset):
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(as_int16(sine(440, 8000, 1.0)), "<i2"), 8000, format=kind, endian="BIG")
    data = file.getvalue()
    assert len(samples_of(usable_sound(data))) == 8000
    with pytest.raises(MediaError, match=f"truncated sound: {kind}: 8000 of {len(data)} bytes are there"):
        usable_sound(data[:8000])
    piped = data[:offset] + b"\xff\xff\xff\xff" + data[offset + 4 :]  # its length was not known
    assert len(samples_of(usable_sound(piped))) == 8000
