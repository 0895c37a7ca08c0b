import io

import pyarrow as pa
from PIL import Image

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
        assert entities.image_bytes("look", [4, 3, 2, 1, 0, 0]) == [b"", b"", b"", b"", png(), png()]
    assert {(issue.kind, issue.where, issue.count) for issue in entities.issues} == {
        ("missing picture file", "items.csv, look", 1),
        ("not a picture", "items.csv, look", 1),
        ("damaged picture", "items.csv, look", 1),
    }
    assert entities.issues[0].example.startswith("'gone.png'")


def test_pictures_as_bytes():
    data = pa.array([png(), None, b"xyz"], pa.large_binary())
    entities = Entities(pa.array(["a", "b", "c"]), {"look": data}, source="items.parquet")
    assert entities.image_bytes("look", [0, 1, 2]) == [png(), b"", b""]
    assert entities.issues[0].example == "id 'c' (3 bytes starting with b'xyz')"


def test_larger_pictures_than_allowed_are_refused():
    entities = Entities(pa.array(["a"]), {"look": pa.array([png()])}, max_pixels=15)
    assert entities.image_bytes("look", [0]) == [b""]
    assert "4 x 4 pixels, at most 15" in entities.issues[0].example
