"""Pictures that claim, or hold, far more than their bytes: they are counted, and cost no more memory than allowed."""

from __future__ import annotations

import json

MAX_PIXELS = 1_000_000

CODE = f"""
import io, json, struct, zlib
import numpy as np
import pyarrow as pa
from PIL import Image
from tfmmrec.data.entities import Entities

MAX_PIXELS = {MAX_PIXELS}


def high_water():
    with open("/proc/self/status") as status:  # what getrusage says begins with the parent's
        return int(status.read().split("VmHWM:")[1].split()[0]) * 1024


def saved(kind, mode="RGB", size=(20, 16), **options):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def zeros(count, step=1_000_000):
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(min(step, count - start))) for start in range(0, count, step)]
    return b"".join(parts) + packer.flush()


def png(width, height, data, *more):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), *more, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\\x89PNG\\r\\n\\x1a\\n" + b"".join(chunks)


def claiming(width, height):
    '''Whole files of 20 × 16 pixels whose headers claim another size, checksums right.'''
    small = zeros(16 * 61)
    yield png(width, height, small)
    data = bytearray(saved("BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    yield bytes(data)
    data = bytearray(saved("GIF", "P"))
    size = struct.pack("<HH", min(width, 65535), min(height, 65535))
    data[6:10] = size
    place = data.index(b"\\x2c\\0\\0\\0\\0")
    data[place + 5 : place + 9] = size
    yield bytes(data)
    data = bytearray(saved("JPEG"))
    place = data.index(b"\\xff\\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", min(height, 65535), min(width, 65535))
    yield bytes(data)
    data = bytearray(saved("JPEG", progressive=True))
    place = data.index(b"\\xff\\xc2")
    data[place + 5 : place + 9] = struct.pack(">HH", min(height, 65535), min(width, 65535))
    yield bytes(data)
    data = bytearray(saved("WEBP", lossless=True))
    bits = struct.unpack_from("<I", data, 21)[0] & ~0xFFFFFFF
    struct.pack_into("<I", data, 21, bits | min(width - 1, 16383) | min(height - 1, 16383) << 14)
    yield bytes(data)
    data = bytearray(saved("WEBP"))
    data[26:30] = struct.pack("<HH", min(width, 16383), min(height, 16383))
    yield bytes(data)


random = np.random.default_rng(0)
sides = [1000, 1001, 5000, 16383, 65535, 2**20, 2**31 - 1]
files = [data for width in sides for height in sides for data in claiming(width, height)]
files += [data for _ in range(30) for data in claiming(*random.integers(21, 2**20, 2).tolist())]
claims = len(files)
whole = png(1000, 1000, zeros(1000 * 3001))  # just as large as is allowed
inner = png(12_000, 10_000, zeros(10_000 * 36_001))  # 120 million pixels in 350,000 bytes
entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22)
bombs = [
    inner,
    struct.pack("<HHH", 0, 1, 1) + entry + inner,  # an icon that says 16 × 16
    b"icns" + struct.pack(">I", 16 + len(inner)) + b"ic07" + struct.pack(">I", 8 + len(inner)) + inner,
    png(1001, 1000, zeros(1000 * 3004)),
    b"%!PS-Adobe-3.0 EPSF-3.0\\n%%BoundingBox: 0 0 9 9\\n%%EndComments\\nshowpage\\n",
]
text = zeros(300_000_000)
notes = [  # beside whole pixels
    png(20, 16, zeros(16 * 61), chunk(b"iCCP", b"p\\0\\0" + text)),
    png(20, 16, zeros(16 * 61), chunk(b"zTXt", b"t\\0\\0" + text)),
    png(20, 16, zeros(16 * 61 + 200_000_000)),  # more pixels than there is room for
]
files += [whole, *bombs, *notes]
ids = pa.array([str(number) for number in range(len(files))])
entities = Entities(ids, {{"photo": pa.array(files, pa.large_binary())}}, source="t", max_pixels=MAX_PIXELS)
Entities(pa.array(["a"]), {{"photo": pa.array([saved("PNG")], pa.large_binary())}}).media_bytes("photo", [0])
before = high_water()
usable, faults = [], {{}}
for row in range(len(files)):
    usable += entities.media_bytes("photo", [row], "image", faults)
grown = high_water() - before
counts = {{}}
for issue in entities.issues:
    counts[issue.kind] = counts.get(issue.kind, 0) + issue.count
found = [len(data) for data in usable]
print(json.dumps([grown, claims, found, counts, {{row: fault.kind for row, fault in faults.items()}}]))
"""


def test_no_file_costs_more_than_its_pixels_may(run_python):
    done = run_python(CODE)
    assert done.returncode == 0, done.stderr
    grown, claims, sizes, counts, faults = json.loads(done.stdout)
    assert claims == 7 * (49 + 30) > 500
    assert grown < 24 * MAX_PIXELS + 16 * 2**20  # of which the interpreter's own
    unusable = [row for row, size in enumerate(sizes) if size == 0]
    assert [int(row) for row in faults] == unusable and sum(counts.values()) == len(unusable)
    assert counts["picture too large"] > 300
    whole, large, icon, icns, one_more, program = range(claims, claims + 6)
    assert sizes[whole] > 0
    assert [faults[str(row)] for row in (large, one_more)] == ["picture too large"] * 2
    assert [faults[str(row)] for row in (icon, icns, program)] == ["not a picture"] * 3
