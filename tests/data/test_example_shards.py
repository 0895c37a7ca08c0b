import numpy as np
import pyarrow as pa
import pytest

from tfmmrec.data.example_shards import remove_partial, shard_name, write_examples
from tfmmrec.data.readers import FileTable

COLUMNS = {
    "id": pa.array(["ü", None, "c"], pa.large_string()),
    "rating": np.array([0.1, np.nan, 3.0], np.float32),
    "count": np.array([2**60, -1, 0]),
    "never": pa.array([None, None, None], pa.large_string()),
}


def read(folder, name):
    (rows,) = FileTable(folder, name, "own").rows(list(COLUMNS))
    return {name: rows.column(name).to_pylist() for name in COLUMNS}


def test_what_is_written_is_read(tmp_path):
    name = shard_name("train", 3, 12)
    for _ in range(2):  # a second time, as a worker does that is not sure
        write_examples(tmp_path / name, COLUMNS)
        found = read(tmp_path, name)
        assert found["id"] == ["ü".encode(), None, b"c"]
        assert found["rating"] == [np.float32(0.1), None, 3.0]
        assert found["count"] == [2**60, -1, 0]
        assert found["never"] == [None] * 3, "a column without any value is there"
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["train-00003-of-00012.tfrecord"]


def test_names_are_in_the_order_of_numbers():
    names = [shard_name("train", number, 123_456) for number in (0, 9, 10, 99_999, 100_000)]
    assert names == sorted(names) and names[0] == "prepared/train-000000-of-123456.tfrecord"


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ValueError):
        write_examples(tmp_path / "x.tfrecord", {"a": np.arange(2), "b": np.arange(3)})
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_leave_is_removed(tmp_path):
    write_examples(tmp_path / "x.tfrecord", {"a": np.arange(2)})
    (tmp_path / ".x.tfrecord.abc").write_text("half")
    remove_partial(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x.tfrecord"]
