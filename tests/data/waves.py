"""Sounds whose content is known."""

from __future__ import annotations

import struct

import numpy as np

from tfmmrec.data.wave_structure import write_wave


def tone(hertz: float, rate: int = 16_000, seconds: float = 0.5, num_channels: int = 1, loudness: float = 0.5) -> bytes:
    """A WAV file of one sine, the same in all channels."""
    return write_wave(as_int16(sine(hertz, rate, seconds, loudness), num_channels), num_channels, rate)


def sine(hertz: float, rate: int, seconds: float, loudness: float = 0.5) -> np.ndarray:
    """Samples in [-1, 1], `[seconds * rate]`."""
    return loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def as_int16(samples: np.ndarray, num_channels: int = 1) -> bytes:
    """Samples of 16 bits, the same in all channels."""
    return np.repeat(np.round(samples * 32767).astype("<i2")[:, None], num_channels, axis=1).tobytes()


def wave_of(samples: bytes, encoding: int, bits: int, rate: int = 16_000, num_channels: int = 1) -> bytes:
    """A WAV file of any encoding, with a part before its samples that nobody has to know."""
    width = num_channels * bits // 8
    header = struct.pack("<HHIIHH", encoding, num_channels, rate, rate * width, width, bits)
    parts = b"WAVE" + b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"fmt " + struct.pack("<I", 16) + header
    body = parts + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body
