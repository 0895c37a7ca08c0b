import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from tests.data.clips import mjpeg
from tests.data.test_images import encoded
from tests.data.waves import tone
from tfmmrec.data.entities import Entities
from tfmmrec.data.media import MediaError
from tfmmrec.data.usable_media import kind_of_bytes, usable_media

WHOLE = {"image": encoded("PNG"), "audio": tone(440), "video": mjpeg([10, 200])}


@pytest.mark.parametrize("kind", WHOLE)
def test_each_kind_takes_its_own(kind):
    assert usable_media(kind, WHOLE[kind]) == WHOLE[kind]
    pictures = {"image", "video"}  # a picture is a video of one frame, a video is one picture to begin with
    for other in set(WHOLE) - (pictures if kind in pictures else {kind}):
        with pytest.raises(MediaError, match="not a "):
            usable_media(other, WHOLE[kind])


@pytest.mark.parametrize("kind", WHOLE)
def test_the_bytes_tell_the_kind(kind):
    assert kind_of_bytes(WHOLE[kind]) == kind


def corrupted(data, random, number):
    """Cut off, bits turned over, a wrong beginning, zeros in it, bytes left out or put in; or nothing but noise."""
    data, place = bytearray(data), int(random.integers(len(data)))
    manner = number % 6
    if manner == 0:
        del data[place:]
    elif manner == 1:
        for _ in range(random.integers(1, 9)):
            data[random.integers(min(len(data), 64))] ^= 1 << random.integers(8)
    elif manner == 2:
        data[: random.integers(1, 64)] = random.bytes(random.integers(0, 64))
    elif manner == 3:
        data[place : place + 200] = bytes(len(data[place : place + 200]))
    elif manner == 4:
        data[place:place] = random.bytes(random.integers(1, 40))
    else:
        data[random.integers(64) :] = random.bytes(random.integers(0, 200))
    return bytes(data)


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
def test_corruptions_are_counted_and_never_reach_tensorflow(kind):
    """Hundreds of damaged files through the reader: each is counted or decoded in the graph, and memory stays small."""
    from tests.data.damaged import WHOLE_FILES, decoder_of

    random = np.random.default_rng(0)
    whole = WHOLE_FILES[kind]
    damaged = [corrupted(whole[number % len(whole)], random, number) for number in range(600)]
    ids = pa.array([str(number) for number in range(len(damaged))])
    entities = Entities(ids, {"it": pa.array(damaged, pa.large_binary())}, source="table")
    tracemalloc.start()
    usable = entities.media_bytes("it", np.arange(len(damaged)), kind)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 2**20 + sum(map(len, usable))
    num_unusable = sum(data == b"" for data in usable)
    assert sum(issue.count for issue in entities.issues) == num_unusable
    assert 200 < num_unusable < len(damaged)
    decode = decoder_of(kind)
    for start in range(0, len(usable), 100):
        present = decode(usable[start : start + 100])
        assert present.tolist() == [data != b"" for data in usable[start : start + 100]]
