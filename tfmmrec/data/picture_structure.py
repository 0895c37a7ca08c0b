"""Whether a JPEG or PNG file is whole, by its structure alone.

PIL decodes more than TensorFlow does: a PNG without its last chunk, a JPEG whose end cannot be found. What
passes here and is decoded by PIL, TensorFlow decodes too.
"""

from __future__ import annotations

import re
import struct
import zlib

_END_OF_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)  # neither a stuffed 255 nor a restart marker
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


def is_whole_png(data: bytes) -> bool:
    """Whether all chunks are there, with their checksums right (PNG specification, section 5)."""
    position = 8
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data) or struct.unpack_from(">I", data, end)[0] != zlib.crc32(data[position + 4 : end]):
            return False
        if name == b"IEND":
            return True
        position = end + 4
    return False


def is_whole_jpeg(data: bytes) -> bool:
    """Whether the segments lead from the start to the end-of-image marker (ITU-T T.81, annex B)."""
    return jpeg_end(data) is not None


def jpeg_end(data: bytes, start: int = 0) -> int | None:
    """Where a JPEG that begins at `start` ends, by its segments; None where they do not lead to its end."""
    position = start + 2
    while data[position : position + 1] == b"\xff" and position + 2 <= len(data):
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == _END_OF_IMAGE:
            return position + 2
        if marker < 0xC0 or 0xD0 <= marker <= 0xD8 or position + 4 > len(data):
            return None
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
        if marker == _START_OF_SCAN:
            found = _END_OF_SCAN.search(data, position)
            if found is None:
                return None
            position = found.start()
    return None
