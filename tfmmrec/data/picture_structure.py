"""Whether a JPEG or PNG file is whole, by its structure alone.

PIL decodes more than TensorFlow does: a PNG without its last chunk or with a header that comes twice, a JPEG whose end
cannot be found. What passes here and is decoded by PIL, TensorFlow decodes too.
"""

from __future__ import annotations

import re
import struct
import zlib

_END_OF_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)  # neither a stuffed 255 nor a restart marker
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # of a PNG, by the type of colours
_INDEXED = 3  # the type of colours that is one of a palette
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of an interlaced PNG's seven passes the first column and row, and the steps to the next ones."""
_STEP = 2**20
MAX_SIDE = 1_000_000
"""Pixels of a PNG's side that libpng, and so TensorFlow, takes at most."""


def is_whole_png(data: bytes) -> bool:
    """Whether all chunks are there, their checksums right, and those that a decoder must know are as they should be.

    That is, by the PNG specification, sections 5.6 and 11.2: one header at the beginning, a palette once and only where
    colours need one or may have one, in consecutive chunks all pixels and no more, nothing else that must be known.
    """
    chunks = _png_chunks(data)
    if not chunks or chunks[0][0] != b"IHDR" or not all(name.isalpha() and name.isascii() for name, _ in chunks):
        return False
    needed = [(name, content) for name, content in chunks if name[:1].isupper()]  # the others may be passed over
    names = [name for name, _ in chunks]
    first, count = (names.index(b"IDAT"), names.count(b"IDAT")) if b"IDAT" in names else (0, 0)
    if count == 0 or names[first : first + count] != [b"IDAT"] * count:
        return False
    in_order = [b"IHDR", *[b"PLTE"] * (b"PLTE" in names), *[b"IDAT"] * count, b"IEND"]
    if [name for name, _ in needed] != in_order or needed[-1][1]:
        return False
    palette = needed[1][1] if b"PLTE" in names else None
    if not _is_png_header(needed[0][1], None if palette is None else len(palette)):
        return False
    return _unpacks_to([content for name, content in needed if name == b"IDAT"], _png_size(needed[0][1]))


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]] | None:
    """Name and content of each chunk up to the last one, IEND; None where one is not there or is damaged."""
    position, chunks = 8, []
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data) or struct.unpack_from(">I", data, end)[0] != zlib.crc32(data[position + 4 : end]):
            return None
        chunks.append((name, data[position + 8 : end]))
        if name == b"IEND":
            return chunks
        position = end + 4
    return None


def _is_png_header(header: bytes, palette_size: int | None) -> bool:
    """Whether an IHDR chunk is one, and a palette of so many bytes (None for no palette) suits it."""
    if len(header) != 13:
        return False
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", header)
    if not 0 < width <= MAX_SIDE or not 0 < height <= MAX_SIDE or depth not in _DEPTHS.get(colour, ()):
        return False
    if compression or filtering or interlace > 1:
        return False
    if palette_size is None:
        return colour != _INDEXED
    fits = 0 < palette_size <= 3 * (2**depth if colour == _INDEXED else 256) and palette_size % 3 == 0
    return fits and colour in (2, _INDEXED, 6)


def _png_size(header: bytes) -> int:
    """Bytes of a PNG's pixels, unpacked: for each line one for its filter, then whole ones (sections 7 and 8)."""
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS[colour]
    size = 0
    for left, top, right, down in _ADAM7 if interlace else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            size += rows * (1 + -(-columns * bits // 8))
    return size


def _unpacks_to(parts: list[bytes], size: int) -> bool:
    """Whether a zlib stream, in parts, is whole and holds just so many bytes; unpacks hardly more than those."""
    stream = zlib.decompressobj()
    try:
        for part in parts:
            while part and not stream.eof and size >= 0:
                size -= len(stream.decompress(part, _STEP))
                part = stream.unconsumed_tail
        while not stream.eof and size >= 0 and (more := stream.decompress(stream.unconsumed_tail, _STEP)):
            size -= len(more)
    except zlib.error:
        return False
    return stream.eof and size == 0


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
