import gzip

import pytest
import tensorflow as tf

from tfmmrec.data.tfrecord_format import column_names, record_batches
from tfmmrec.types import DataError


def feature(value):
    values = value if isinstance(value, list) else [value]
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def write(path, rows):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            features = tf.train.Features(feature={name: feature(value) for name, value in row.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return path


def read(path, columns):
    return [batch.to_pydict() for batch in record_batches(path, path.name, columns)]


def refused(path, message):
    with pytest.raises(DataError) as caught:
        read(path, column_names(path, path.name))
    assert message in str(caught.value)


def test_examples_become_columns(tmp_path):
    rows = [{"id": 7, "name": b"x", "tags": [b"p", b"q"], "price": 1.5}, {"id": 8, "tags": b"r"}]
    path = write(tmp_path / "t.tfrecord", rows)
    assert column_names(path, "t.tfrecord") == ["id", "name", "price", "tags"]
    expected = {"tags": [[b"p", b"q"], [b"r"]], "id": [7, 8], "name": [b"x", None], "price": [1.5, None]}
    assert read(path, ["tags", "id", "name", "price"]) == [expected]


def test_gzip(tmp_path):
    path = write(tmp_path / "t.tfrecord", [{"id": 1}])
    packed = tmp_path / "t.tfrecord.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read(packed, ["id"]) == [{"id": [1]}]


def test_reading_does_not_start_tensorflows_runtime(tmp_path, run_python):
    path = write(tmp_path / "t.tfrecord", [{"id": 1}])
    done = run_python(
        "from pathlib import Path\n"
        "from tfmmrec.data.tfrecord_format import record_batches\n"
        f"print([b.to_pydict() for b in record_batches(Path({str(path)!r}), 't', ['id'])])\n"
        "import tensorflow as tf\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)\n"
    )
    assert done.returncode == 0 and "[{'id': [1]}]" in done.stdout, done.stderr


def test_damage_is_named(tmp_path):
    path = write(tmp_path / "t.tfrecord", [{"id": 1}, {"id": 2}])
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    refused(path, "t.tfrecord, row 2: the TFRecord file is cut off inside a record; write it again")
    path.write_bytes(whole + b"abc")
    refused(path, "t.tfrecord, row 3: the TFRecord file is cut off inside a record")
    path.write_bytes(b"id,name\n1,x\n2,y\n")
    refused(
        path,
        "t.tfrecord, row 1: not a TFRecord, or a damaged one: the checksum of the record's length is wrong",
    )
    path.write_bytes(b"")
    refused(path, "t.tfrecord: no examples in the file; expected at least one tf.train.Example")
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"no example")
    refused(path, "t.tfrecord, row 1: the record is not a tf.train.Example")
    write(path, [{"id": 1}, {"id": b"x"}])
    refused(path, "t.tfrecord, row 2, column 'id': expected integers like in the rows before, found bytes")
