import pyarrow as pa
import pytest

from tests.data.examples import write_examples, write_types
from tfmmrec.data.examples import Examples, JoinedEntities, read_types
from tfmmrec.types import DataError

TRAIN = [
    {"who": "ann", "what": 3, "title": "lamp", "price": 2.5},
    {"who": "bob", "what": 3, "title": "lamp, again", "price": None},
    {"who": "ann", "what": 1, "title": "chair", "price": 4.0},
]
TEST = [{"who": "cy", "what": 1, "title": "seat"}, {"who": "cy", "what": 7, "title": "desk", "price": 9.0}]
TYPES = {"who": "BYTES", "what": "INT", "title": "BYTES", "price": "FLOAT"}


@pytest.fixture
def parts(tmp_path):
    types = read_types(write_types(tmp_path / "schema.pbtxt", **TYPES))
    files = {
        part: write_examples(tmp_path / f"Split-{part}" / "data_tfrecord-00000-of-00001.gz", rows)
        for part, rows in (("train", TRAIN), ("test", TEST))
    }
    return [Examples([path], f"examples/{part}", types) for part, path in files.items()]


def read(table, *columns):
    return [row for rows in table.rows(columns) for row in rows.batch.to_pylist()]


def test_the_schema_names_and_types_the_columns(tmp_path):
    types = read_types(write_types(tmp_path / "schema.pbtxt", **TYPES))
    assert types == {"who": pa.large_binary(), "what": pa.int64(), "title": pa.large_binary(), "price": pa.float32()}


def test_a_file_that_is_no_schema(tmp_path):
    (tmp_path / "schema.pbtxt").write_text("who: BYTES")
    with pytest.raises(DataError, match=r"schema\.pbtxt: not a schema as SchemaGen writes it: .*who"):
        read_types(str(tmp_path / "schema.pbtxt"))


def test_rows_are_those_of_the_files_in_their_order(parts):
    train = parts[0]
    assert train.column_names() == list(TYPES)
    assert read(train, "what", "price") == [
        {"what": 3, "price": 2.5},
        {"what": 3, "price": None},
        {"what": 1, "price": 4.0},
    ]
    both = Examples([*train.paths, *parts[1].paths], "examples", None)
    assert both.column_names() == ["price", "title", "what", "who"], "of the first file, without a schema"
    rows = list(both.rows(["who"]))
    assert [part.column("who").to_pylist() for part in rows] == [[b"ann", b"bob", b"ann"], [b"cy", b"cy"]]
    assert rows[1].place(1, "who") == "examples/data_tfrecord-00000-of-00001.gz, row 2, column 'who'"


def test_another_type_than_the_schema_s(parts):
    parts[0].types = parts[0].types | {"what": pa.large_binary()}
    with pytest.raises(DataError, match=r"row 1, column 'what': expected large_binary as the schema says, found int64"):
        read(parts[0], "what")


def test_a_column_that_the_schema_lacks(parts):
    with pytest.raises(DataError, match=r"examples/train: no column 'prize'; it has .*did you mean 'price'"):
        read(parts[0], "prize")


def test_of_every_id_the_first_row_that_has_it(parts):
    joined = JoinedEntities(parts, "what", "candidates")
    assert joined.column_names() == list(TYPES)
    assert read(joined, "what", "title") == [
        {"what": 3, "title": b"lamp"},
        {"what": 1, "title": b"chair"},
        {"what": 7, "title": b"desk"},
    ]
    assert [(rows.source, rows.first, len(rows)) for rows in joined.rows(["price"])] == [
        ("candidates", 1, 2),
        ("candidates", 3, 1),
    ]
    assert read(joined, "price") == [{"price": 2.5}, {"price": 4.0}, {"price": 9.0}]
