import io
import struct
import wave

import pytest

from tests.data.waves import tone, wave_of
from tfmmrec.data.wave_structure import Wave, is_wave, read_wave, write_wave


def test_what_is_written_is_what_python_reads():
    data = write_wave(b"\x01\x00\x02\x00\x03\x00\x04\x00", 2, 8000)
    assert is_wave(data)
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth(), file.getnframes()) == (2, 8000, 2, 2)
        assert file.readframes(2) == b"\x01\x00\x02\x00\x03\x00\x04\x00"
    assert read_wave(data) == Wave(1, 2, 8000, 16, 44, 8, 8)


def test_parts_that_nobody_has_to_know_are_passed_over():
    data = wave_of(b"abcd", 3, 32)  # an odd part with its padding comes first
    found = read_wave(data)
    assert (found.encoding, found.bits, data[found.start :]) == (3, 32, b"abcd")


def test_an_extensible_header_says_what_it_extends():
    header = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 8000, 16000, 2, 16, 22, 16, 4, 1) + bytes(14)
    data = b"RIFF" + bytes(4) + b"WAVEfmt " + struct.pack("<I", 40) + header + b"data" + struct.pack("<I", 2) + b"ab"
    assert read_wave(data) == Wave(1, 1, 8000, 16, 68, 2, 2)


def test_what_is_missing_is_seen():
    whole = write_wave(bytes(100), 1, 8000)
    found = read_wave(whole[:-30])
    assert (found.num_bytes, found.declared_bytes) == (70, 100)
    piped = whole[:40] + b"\xff\xff\xff\xff" + whole[44:]  # whoever wrote it did not know how long it would be
    assert (read_wave(piped).num_bytes, read_wave(piped).declared_bytes) == (100, 100)


@pytest.mark.parametrize("unknown", [0, 36, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_of_a_pipe_all_that_is_there_is_taken(unknown):
    whole = write_wave(bytes(100), 1, 8000)
    size = struct.pack("<I", 0 if unknown == 36 else unknown)
    found = read_wave(whole[:4] + struct.pack("<I", unknown) + whole[8:40] + size + whole[44:])
    assert (found.num_bytes, found.declared_bytes) == (100, 100)


def test_no_samples_before_another_part_are_none():
    body = write_wave(b"", 1, 8000)[8:] + b"LIST" + struct.pack("<I", 4) + b"abcd"
    assert read_wave(b"RIFF" + struct.pack("<I", len(body)) + body).num_bytes == 0


@pytest.mark.parametrize("data", [b"", b"RIFF", tone(440)[:30], b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd"])
def test_parts_that_lead_nowhere(data):
    assert read_wave(data) is None


def test_other_files_are_no_waves():
    assert not is_wave(b"\x89PNG\r\n\x1a\nWAVE") and not is_wave(b"")
