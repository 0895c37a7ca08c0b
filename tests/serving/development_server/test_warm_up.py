import pytest
import tensorflow as tf

from tests.serving.development_server.small_model import write_small
from tfmmrec.serving.development_server import warm_up as module
from tfmmrec.serving.development_server.model_version import ModelVersion
from tfmmrec.serving.development_server.request_error import RequestError
from tfmmrec.serving.development_server.warm_up import warm_up

FILE = "assets.extra/tf_serving_warmup_requests"


def test_all_recorded_requests_are_run(version):
    assert warm_up(version) == 2


@pytest.fixture
def broken(tmp_path):
    return ModelVersion(1, str(write_small(tmp_path / "1", warmup=0))), tmp_path / "1" / FILE


def test_without_a_file_there_is_nothing_to_do(broken):
    assert warm_up(broken[0]) == 0


def test_a_garbled_file_is_an_error(broken):
    version, file = broken
    file.parent.mkdir()
    file.write_bytes(b"no records at all")
    with pytest.raises(tf.errors.OpError):
        warm_up(version)


def test_a_request_that_is_not_answered_is_an_error(broken, small):
    version, file = broken
    file.parent.mkdir()
    records = list(tf.data.TFRecordDataset(str(small / FILE)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(records[0].replace(b"scale", b"scope"))
    with pytest.raises(RequestError, match='"scope" not found'):
        warm_up(version)


def test_more_than_tensorflow_serving_takes(version, monkeypatch):
    monkeypatch.setattr(module, "MAX_REQUESTS", 1)
    with pytest.raises(ValueError, match="more than 1 requests, which TensorFlow Serving refuses"):
        warm_up(version)
