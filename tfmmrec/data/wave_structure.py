"""WAV files: their parts are found by the structure alone (RIFF, Multimedia Programming Interface 1.0, 1991)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
_UNKNOWN_SIZE = 0x7FFFF000  # or more, as various programs say of what they write to a pipe: all that follows


@dataclass(frozen=True)
class Wave:
    """What a WAV file says of itself.

    Attributes:
        encoding: 1 for integers, 3 for floats, other numbers for what is compressed.
        num_channels: samples in a frame.
        rate: frames a second.
        bits: of one sample.
        start: where the samples begin in the file.
        num_bytes: of samples that are there.
        declared_bytes: of samples as the header says.
    """

    encoding: int
    num_channels: int
    rate: int
    bits: int
    start: int
    num_bytes: int
    declared_bytes: int


def is_wave(data: bytes) -> bool:
    """Whether the file begins as WAV files do."""
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


def read_wave(data: bytes) -> Wave | None:
    """Where the samples of a WAV file are and what they are, None where its parts lead nowhere.

    Args:
        data: the file's content.
    """
    described, position = None, 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        position += 8
        if name == b"fmt " and size >= 16 and position + 16 <= len(data):
            encoding, num_channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, position)
            if encoding == EXTENSIBLE and size >= 26 and position + 26 <= len(data):
                encoding = struct.unpack_from("<H", data, position + 24)[0]
            described = encoding, num_channels, rate, bits
        if name == b"data":
            if described is None:
                return None
            there = len(data) - position
            declared = there if _is_unknown(size, there, struct.unpack_from("<I", data, 4)[0], position) else size
            return Wave(*described, position, min(declared, there), declared)
        position += size + size % 2
    return None


def _is_unknown(size: int, there: int, whole: int, position: int) -> bool:
    """Whether a size was written before it was known; 0 is one if the whole file is said to end there too."""
    if size == 0:
        return whole + 8 <= position or whole >= _UNKNOWN_SIZE
    return size >= _UNKNOWN_SIZE and size > there


def write_wave(samples: bytes, num_channels: int, rate: int) -> bytes:
    """A WAV file of 16-bit samples.

    Args:
        samples: little-endian, frame by frame.
        num_channels: of a frame.
        rate: frames a second.
    """
    width = 2 * num_channels
    header = struct.pack("<HHIIHH", PCM, num_channels, rate, rate * width, width, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + header + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body
