import io

import pyarrow as pa
from PIL import Image

from tests.data.waves import tone
from tfmmrec.data.entities import Entities


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_row_of():
    entities = Entities(pa.array(["b", "007", "a"]))
    rows = entities.row_of(["a", "7", "007"])
    assert rows.tolist() == [2, -1, 1] and rows.dtype.name == "int32"
    assert entities.row_of([]).tolist() == [] and entities.row_of(pa.array(["b", None])).tolist() == [0, -1]
    assert len(entities) == 3


def test_pictures_that_cannot_be_used_are_empty_and_counted_once(tmp_path):
    (tmp_path / "good.png").write_bytes(png())
    (tmp_path / "cut.png").write_bytes(png()[:50])
    (tmp_path / "text.png").write_text("not found")
    paths = pa.array(["good.png", None, "cut.png", "text.png", "gone.png"], pa.large_string())
    entities = Entities(pa.array(list("abcde")), {"look": paths}, root=tmp_path, source="items.csv")
    for _ in range(2):
        assert entities.media_bytes("look", [4, 3, 2, 1, 0, 0]) == [b"", b"", b"", b"", png(), png()]
    assert {(issue.kind, issue.where, issue.count) for issue in entities.issues} == {
        ("missing picture file", "items.csv, look", 1),
        ("not a picture", "items.csv, look", 1),
        ("damaged picture", "items.csv, look", 1),
    }
    assert entities.issues[0].example.startswith("'gone.png'")
    faults = {}
    entities.media_bytes("look", [4, 0, 1, 3], faults=faults)
    assert {row: fault.kind for row, fault in faults.items()} == {4: "missing picture file", 3: "not a picture"}


def test_pictures_as_bytes():
    data = pa.array([png(), None, b"xyz"], pa.large_binary())
    entities = Entities(pa.array(["a", "b", "c"]), {"look": data}, source="items.parquet")
    assert entities.media_bytes("look", [0, 1, 2]) == [png(), b"", b""]
    assert entities.issues[0].example == "id 'c' (3 bytes starting with b'xyz')"


def test_larger_pictures_than_allowed_are_refused():
    entities = Entities(pa.array(["a"]), {"look": pa.array([png()])}, max_pixels=15)
    assert entities.media_bytes("look", [0]) == [b""]
    assert "4 x 4 pixels, at most 15" in entities.issues[0].example


def test_sounds_that_cannot_be_used_are_empty_and_counted_with_their_paths(tmp_path):
    (tmp_path / "good.wav").write_bytes(tone(440))
    (tmp_path / "cut.wav").write_bytes(tone(440)[:-50])
    (tmp_path / "text.wav").write_text("not found")
    paths = pa.array(["good.wav", None, "cut.wav", "text.wav", "gone.wav"], pa.large_string())
    entities = Entities(pa.array(list("abcde")), {"hum": paths}, root=tmp_path, source="songs.csv")
    assert entities.media_bytes("hum", [4, 3, 2, 1, 0], "audio") == [b"", b"", b"", b"", tone(440)]
    assert [str(issue) for issue in entities.issues] == [
        "songs.csv, hum: 1 × missing sound file, first 'gone.wav' ('gone.wav')",
        "songs.csv, hum: 1 × not a sound, first 'text.wav' (9 bytes starting with b'not foun')",
        "songs.csv, hum: 1 × truncated sound, first 'cut.wav' (15950 of 16000 bytes of samples are there)",
    ]
