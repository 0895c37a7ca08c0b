"""Sounds: brought into a form that TensorFlow decodes, or named as unusable."""

from __future__ import annotations

import io
import struct

import numpy as np

from tfmmrec.data.media import MediaError
from tfmmrec.data.wave_structure import FLOAT, PCM, is_wave, read_wave, write_wave

MAX_SECONDS = 30
"""What comes after so many seconds is left out: a batch of long recordings would not fit the memory."""
_RATES = range(1_000, 200_001)
_MAX_CHANNELS = 16
_UNKNOWN_SIZE = 0x7FFFF000  # or more: of what was written to a pipe
_FORMATS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"FORM": "AIFF", b".snd": "AU", b"RF64": "RF64"}


def usable_sound(data: bytes, max_seconds: int = MAX_SECONDS) -> bytes:
    """A sound as a WAV file of 16-bit samples, one channel or several, that TensorFlow's `decode_wav` decodes.

    WAV files of integers or floats need nothing else; what is compressed (FLAC, MP3, Ogg and others) is decoded by the
    library soundfile, an extra. Of a longer sound the beginning is kept.

    Args:
        data: the file's content.
        max_seconds: how much is kept.

    Raises:
        MediaError: not a sound, damaged, empty, or of a format whose library is not installed; truncated, where a
            header of WAV, AIFF or AU tells the length (of other formats what is there is taken).
    """
    if not is_wave(data):
        return _by_soundfile(data, max_seconds, _format_of(data))
    wave = read_wave(data)
    if wave is None:
        raise MediaError("damaged sound", "a WAV file without its parts `fmt ` and `data`")
    if wave.encoding not in (PCM, FLOAT):
        return _by_soundfile(data, max_seconds, f"a WAV file, but not PCM (format {wave.encoding})")
    if wave.bits not in ((8, 16, 24, 32) if wave.encoding == PCM else (32, 64)):
        raise MediaError("damaged sound", f"samples of {wave.bits} bits in WAV format {wave.encoding}")
    _check(wave.num_channels, wave.rate)
    if wave.num_bytes < wave.declared_bytes:
        raise MediaError("truncated sound", f"{wave.num_bytes} of {wave.declared_bytes} bytes of samples are there")
    frame = wave.num_channels * wave.bits // 8
    num_frames = min(wave.num_bytes // frame, max_seconds * wave.rate)
    samples = data[wave.start : wave.start + num_frames * frame]
    return _written(_as_int16(samples, wave.encoding, wave.bits), wave.num_channels, wave.rate)


def is_sound(head: bytes) -> bool:
    """Whether a file's first bytes are those of a sound."""
    return is_wave(head) or _format_of(head) is not None


def _as_int16(samples: bytes, encoding: int, bits: int) -> np.ndarray:
    if encoding == FLOAT:
        values = np.nan_to_num(np.frombuffer(samples, f"<f{bits // 8}"))
        return np.clip(np.round(values * 32768.0), -32768, 32767).astype("<i2")
    if bits == 8:  # alone without a sign
        return (np.frombuffer(samples, np.uint8).astype("<i2") - 128) * 256
    return np.frombuffer(samples, np.uint8).reshape(-1, bits // 8)[:, -2:].copy().view("<i2")  # the upper two bytes


def _written(samples: np.ndarray, num_channels: int, rate: int) -> bytes:
    if not samples.size:
        raise MediaError("empty sound", "no samples")
    return write_wave(samples.astype("<i2").tobytes(), num_channels, rate)


def _check(num_channels: int, rate: int) -> None:
    if rate not in _RATES or not 1 <= num_channels <= _MAX_CHANNELS:
        raise MediaError("damaged sound", f"{num_channels} channels, {rate} samples a second")


def _format_of(data: bytes) -> str | None:
    found = next((name for start, name in _FORMATS.items() if data.startswith(start)), None)
    return "MP3" if found is None and len(data) > 2 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 else found


def _declared_bytes(data: bytes) -> int:
    """How long an AIFF or AU file says that it is; 0 where it does not, and of other formats."""
    if data[:4] not in (b"FORM", b".snd") or len(data) < 12:
        return 0
    start, size = (8, *struct.unpack_from(">I", data, 4)) if data[:4] == b"FORM" else struct.unpack_from(">II", data, 4)
    return start + size if size < _UNKNOWN_SIZE else 0


def _by_soundfile(data: bytes, max_seconds: int, what: str | None) -> bytes:
    if what is None:
        raise MediaError("not a sound", f"{len(data)} bytes starting with {data[:8]!r}")
    declared = _declared_bytes(data)
    if len(data) < declared:
        raise MediaError("truncated sound", f"{what}: {len(data)} of {declared} bytes are there")
    try:
        import soundfile
    except (ImportError, OSError):  # without its shared library it is an OSError
        raise MediaError(
            "sound that needs soundfile", f"{what}; pip install 'tfmmrec[audio]', or convert it to WAV of 16 bits"
        ) from None
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            num_channels, rate = file.channels, file.samplerate
            _check(num_channels, rate)
            samples = file.read(max_seconds * rate, dtype="int16", always_2d=True)
    except MediaError:
        raise
    except Exception as error:  # as with pictures: a damaged file raises whatever its reader stumbles over
        raise MediaError("damaged sound", f"{what}: {error or type(error).__name__}") from None
    return _written(samples, num_channels, rate)
