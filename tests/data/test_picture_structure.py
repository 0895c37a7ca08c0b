import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from tfmmrec.data.picture_structure import is_whole_jpeg, is_whole_png


def encoded(kind, **options):
    buffer = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((64, 64)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100}, {"comment": b"\xff\xd9"}])
def test_whole_jpegs(options):
    data = encoded("JPEG", **options)
    assert is_whole_jpeg(data) and is_whole_jpeg(data + b"something behind it")
    assert not is_whole_jpeg(data[:-1])
    assert not is_whole_jpeg(data[: len(data) // 2])


def test_a_marker_inside_the_scan_breaks_a_jpeg():
    data = encoded("JPEG")
    place = len(data) - 30
    assert not is_whole_jpeg(data[:place] + b"\xff\x01" + data[place + 2 :])


def test_whole_pngs():
    data = encoded("PNG")
    assert is_whole_png(data) and is_whole_png(data + b"something behind it")
    assert not is_whole_png(data[:-1]) and not is_whole_png(data[:-12])
    assert not is_whole_png(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    assert not is_whole_png(b"")


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def header(width=8, height=8, depth=8, colour=0, compression=0, filtering=0, interlace=0):
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, compression, filtering, interlace)


LINES = zlib.compress(bytes(8 * 9))  # of each a filter and eight greys
PIXELS, END, PALETTE = (b"IDAT", LINES), (b"IEND", b""), (b"PLTE", bytes(6))
SPLIT = ((b"IDAT", LINES[:5]), (b"IDAT", LINES[5:]))
NOTE = (b"tEXt", b"a\0b")


@pytest.mark.parametrize(
    "chunks",
    [
        (header(), PIXELS, END),
        (header(), NOTE, *SPLIT, NOTE, END),
        (header(colour=3), PALETTE, PIXELS, END),
        (header(width=2, colour=2), PALETTE, (b"IDAT", zlib.compress(bytes(8 * 7))), END),
        (header(width=9, depth=1), (b"IDAT", zlib.compress(bytes(8 * 3))), END),
        # seven passes of 1 × 1, 1 × 1, 2 × 1, 2 × 2, 4 × 2, 4 × 4 and 8 × 4 pixels
        (header(interlace=1), (b"IDAT", zlib.compress(bytes(2 + 2 + 3 + 2 * 3 + 2 * 5 + 4 * 5 + 4 * 9))), END),
        # of a picture of one pixel there is but the first pass
        (header(1, 1, interlace=1), (b"IDAT", zlib.compress(bytes(2))), END),
    ],
)
def test_pngs_that_are_as_they_should_be(chunks):
    import tensorflow as tf

    assert is_whole_png(png(*chunks))
    assert tf.io.decode_png(png(*chunks), channels=3).shape[2] == 3


@pytest.mark.parametrize(
    "chunks",
    [
        (PIXELS, END),
        (header(), END),
        (header(), header(), PIXELS, END),
        (NOTE, header(), PIXELS, END),
        (header(), PIXELS, NOTE, PIXELS, END),
        (header(), SPLIT[0], NOTE, SPLIT[1], END),
        (header(), (b"ABCD", b"must be known"), PIXELS, END),
        (header(), (b"a\0cd", b""), PIXELS, END),
        (header(), PALETTE, PIXELS, END),  # of greys
        (header(colour=3), PIXELS, END),
        (header(colour=3), PIXELS, PALETTE, END),
        (header(colour=3), PALETTE, PALETTE, PIXELS, END),
        (header(colour=3), (b"PLTE", bytes(7)), PIXELS, END),
        (header(colour=3), (b"PLTE", b""), PIXELS, END),
        (header(colour=3, width=64, depth=1), (b"PLTE", bytes(9)), PIXELS, END),  # three colours, one bit
        (header(depth=3), PIXELS, END),
        (header(colour=1), PIXELS, END),
        (header(compression=1), PIXELS, END),
        (header(filtering=1), PIXELS, END),
        (header(interlace=2), PIXELS, END),
        (header(width=0), PIXELS, END),
        (header(1_000_001, 1), (b"IDAT", zlib.compress(bytes(1_000_002))), END),
        ((b"IHDR", header()[1][:-1]), PIXELS, END),
        (header(height=9), PIXELS, END),  # a line too few
        (header(height=7), PIXELS, END),  # a line too many
        (header(), (b"IDAT", LINES[:-2]), END),
        (header(), (b"IDAT", b"no stream"), END),
        (header(), PIXELS, (b"IEND", b"more")),
    ],
)
def test_pngs_that_are_not(chunks):
    """All of their checksums are right."""
    assert not is_whole_png(png(*chunks))


def test_a_stream_is_unpacked_no_further_than_its_pixels():
    bomb = png(header(), (b"IDAT", zlib.compress(bytes(100_000_000))), END)
    tracemalloc.start()
    assert not is_whole_png(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def damaged(chunks, random):
    """Some bytes changed, chunks repeated, left out, exchanged, cut off or put in; the checksums are right again."""
    chunks = [list(one) for one in chunks]
    for _ in range(random.integers(1, 4)):
        manner, place, other = random.integers(6), *random.integers(len(chunks), size=2)
        name, data = chunks[place]
        cut = int(random.integers(max(len(data), 1)))
        if manner == 0 and data:
            chunks[place] = [name, data[:cut] + random.bytes(1) + data[cut + 1 :]]
        elif manner == 1:
            chunks.insert(other, [name, data])
        elif manner == 2 and len(chunks) > 1:
            del chunks[place]
        elif manner == 3:
            chunks[place], chunks[other] = chunks[other], chunks[place]
        elif manner == 4:
            names = [b"tRNS", b"gAMA", b"PLTE", b"IHDR", b"ABCD", b"IDAT", b"IEND", b"iCCP", b"acTL", b"a\0cD", b"sPLT"]
            chunks.insert(place, [names[random.integers(len(names))], random.bytes(random.integers(14))])
        else:
            chunks[place] = [name, data[:cut]]
    return png(*chunks)


def test_damage_with_right_checksums_never_reaches_tensorflow():
    """What is let through of a thousand, TensorFlow decodes."""
    import tensorflow as tf

    from tfmmrec.data.images import usable_picture
    from tfmmrec.data.media import MediaError

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def decode(data):
        return tf.io.decode_image(data, channels=3, expand_animations=False)

    random, passed = np.random.default_rng(0), 0
    lines = random.integers(0, 2, (8, 9), np.uint8)  # no filter or the first one, then one of two colours
    lines = zlib.compress(lines.tobytes())
    for number in range(1000):
        whole = [header(colour=3 * (number % 2)), *[PALETTE] * (number % 2), NOTE, (b"IDAT", lines), END]
        try:
            usable = usable_picture(damaged(whole, random))
        except MediaError:
            continue
        assert decode(usable).shape[-1] == 3
        passed += 1
    assert passed > 200
