"""The sounds of the catalogue `songs`: a few bars in a tempo, a timbre and a register, synthesised."""

from __future__ import annotations

import io
import wave

import numpy as np

from tfmmrec.types import UsageError

RATE = 8000
"""Samples a second."""
SECONDS = 3.0
TEMPOS = {"slow": 60.0, "walking": 90.0, "dance": 126.0, "fast": 176.0}
"""Name -> beats a minute; a song differs from it by up to 4%."""
REGISTERS = {"low": 45, "middle": 57, "high": 69}
"""Name -> MIDI number of the key note."""
_PARTIALS = {  # strength of the harmonics 1, 2, 3, ...
    "flute": (1.0, 0.12, 0.04),
    "reed": (1.0, 0.0, 0.6, 0.0, 0.4, 0.0, 0.25, 0.0, 0.15),
    "strings": tuple(1.0 / number for number in range(1, 13)),
    "organ": (1.0, 0.7, 0.0, 0.5, 0.0, 0.0, 0.0, 0.4),
    "bell": (1.0,),  # its partials are no multiples of the note: see _BELL
    "plucked": tuple(0.8**number for number in range(10)),
}
_BELL = ((0.56, 0.5), (0.92, 0.8), (1.19, 0.5), (1.71, 0.4), (2.74, 0.3), (3.76, 0.25))  # (frequency, strength)
_DECAY_SECONDS = {"bell": 0.5, "plucked": 0.18}  # the others last as long as the note
TIMBRES = tuple(_PARTIALS)
_SCALE = np.array([0, 2, 4, 7, 9, 12])  # pentatonic: whatever follows whatever, it sounds all right


def synthesise(tempo: str, timbre: str, register: str, rng: np.random.Generator) -> np.ndarray:
    """A few notes, one on every beat or half a beat, over a click on the beat.

    Args:
        tempo: one of `TEMPOS`.
        timbre: one of `TIMBRES`.
        register: one of `REGISTERS`.
        rng: the melody, the exact tempo and key, loudness and noise.

    Returns:
        Samples, int16 `[SECONDS * RATE]`.

    Raises:
        UsageError: for a name that does not exist.
    """
    for kind, name, known in (("tempo", tempo, TEMPOS), ("timbre", timbre, TIMBRES), ("register", register, REGISTERS)):
        if name not in known:
            raise UsageError(f"{kind} {name!r} does not exist in the catalogue; pass one of {', '.join(known)}")
    beat = 60.0 / (TEMPOS[tempo] * rng.uniform(0.96, 1.04))
    key = REGISTERS[register] + rng.integers(-3, 4)
    sound = np.zeros(int(SECONDS * RATE))
    start, halves = rng.uniform(0.0, beat), rng.random(64) < 0.3
    for number in range(64):
        if start >= SECONDS:
            break
        _add(sound, start, 0.25 * _click(rng))
        pitches = rng.choice(_SCALE, 2 if halves[number] else 1)
        length = beat / len(pitches)
        for place, pitch in enumerate(pitches):
            frequency = 440.0 * 2.0 ** ((key + pitch - 69) / 12.0)
            _add(sound, start + place * length, _note(timbre, frequency, length, rng))
        start += beat
    sound = sound / np.abs(sound).max() * rng.uniform(0.4, 0.9) + rng.normal(0.0, 0.003, sound.size)
    return (np.clip(sound, -1.0, 1.0) * 32767).astype(np.int16)


def _add(sound: np.ndarray, start_seconds: float, part: np.ndarray) -> None:
    begin = int(start_seconds * RATE)
    part = part[: max(sound.size - begin, 0)]
    sound[begin : begin + part.size] += part


def _click(rng: np.random.Generator) -> np.ndarray:
    time = np.arange(int(0.03 * RATE)) / RATE
    return rng.normal(size=time.size) * np.exp(-time / 0.006)


def _note(timbre: str, frequency: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """One note with a soft beginning and end, float64 `[samples]`."""
    time = np.arange(int(0.95 * seconds * RATE)) / RATE
    if timbre == "bell":
        partials = [(2.0 * frequency * ratio, strength) for ratio, strength in _BELL]
    else:
        partials = [(frequency * (place + 1), strength) for place, strength in enumerate(_PARTIALS[timbre])]
    heard = [(pitch, strength) for pitch, strength in partials if strength and pitch < 0.45 * RATE]
    phases = rng.uniform(0.0, 2.0 * np.pi, len(heard))
    tone = sum(s * np.sin(2.0 * np.pi * f * time + phase) for (f, s), phase in zip(heard, phases, strict=True))
    envelope = np.minimum(1.0, np.minimum(time, time[-1] - time) / (0.004 if timbre in _DECAY_SECONDS else 0.03))
    if timbre in _DECAY_SECONDS:
        envelope = envelope * np.exp(-time / _DECAY_SECONDS[timbre])
    return tone * envelope / np.sqrt(sum(strength**2 for _, strength in heard))


def wav_bytes(samples: np.ndarray, rate: int = RATE) -> bytes:
    """Samples, int16 `[n]`, as a WAV file of one channel."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return written.getvalue()
