import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.json_format import MessageToDict

from tfmmrec.serving.signature_info import missing_value, read_metadata

VALUES = [
    np.array([[1.5, -np.inf, np.nan]], np.float32),
    np.array([1.5], np.float64),
    np.array([[7] * 300], np.int32),
    np.array([2**60], np.int64),
    np.array([True, False]),
    np.array([[b"a", b"\xff"]], object),
    np.array([[b""] * 50], object),
    np.arange(6, dtype=np.uint8).reshape(1, 3, 2),
]


def _metadata(value):
    """One signature as a server tells it, whose input x has a default, and y none."""
    dtype = "DT_STRING" if value.dtype == object else tf.dtypes.as_dtype(value.dtype).name.upper()
    dtype = {"FLOAT32": "DT_FLOAT", "FLOAT64": "DT_DOUBLE"}.get(dtype, dtype if dtype[:3] == "DT_" else f"DT_{dtype}")
    proto = tf.make_tensor_proto(value)
    dims = [{"size": "-1", "name": ""}, *({"size": str(size), "name": ""} for size in value.shape[1:])]
    x = {"dtype": dtype, "tensor_shape": {"dim": dims}, "name": "x:0"}
    y = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}, {"size": "-1"}]}}
    default = MessageToDict(proto, preserving_proto_field_name=True)
    signature = {"inputs": {"x": x, "y": y}, "outputs": {"z": y}, "defaults": {"x": default}}
    signatures = {"s": signature, "__saved_model_init_op": {"outputs": {}}}
    return {"metadata": {"signature_def": {"signature_def": signatures}}}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value.dtype}{list(value.shape)}")
def test_defaults_are_read_as_tensorflow_writes_them(value):
    found = read_metadata(_metadata(value))
    assert set(found) == {"s"}
    x, y = found["s"].inputs["x"], found["s"].inputs["y"]
    assert x.dtype == value.dtype and x.shape == value.shape[1:] and x.is_text == (value.dtype == object)
    np.testing.assert_array_equal(x.default, value)
    assert y.default is None and y.shape == (None,) and found["s"].outputs["z"].dtype == np.float32


def test_one_value_stands_for_all_that_are_not_written():
    value = np.full([1, 4], 9, np.int32)
    metadata = _metadata(value)
    default = metadata["metadata"]["signature_def"]["signature_def"]["s"]["defaults"]["x"]
    default.pop("tensor_content", None)
    default["int_val"] = [9]
    assert read_metadata(metadata)["s"].inputs["x"].default.tolist() == [[9, 9, 9, 9]]
    default["int_val"] = []
    assert read_metadata(metadata)["s"].inputs["x"].default.tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(
    "content", [{}, {"metadata": []}, {"metadata": {"signature_def": {"signature_def": {"s": 3}}}}]
)
def test_what_is_no_metadata(content):
    with pytest.raises(ValueError, match="no metadata of a model"):
        read_metadata(content)


def test_what_stands_for_nothing():
    assert missing_value(True, ()) == missing_value(True, (4,)) == ""
    assert missing_value(False, (2,)) == [0.0, 0.0]
    number = missing_value(False, ())
    assert number != number
