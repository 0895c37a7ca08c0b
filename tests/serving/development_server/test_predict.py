import numpy as np
import pytest
import tensorflow as tf

from tests.serving.development_server.small_model import predict_request
from tfmmrec.serving.development_server.predict import MAX_VALUES, checked_outputs, predict, request_inputs, to_array
from tfmmrec.serving.development_server.request_error import RequestError

X = np.array([[1, 2], [3, 4]], np.float32)


def test_defaults_stand_for_what_is_left_out(version):
    response = predict(version, predict_request("m", "scale", x=X))
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), X * 3)
    assert tf.make_ndarray(response.outputs["greeting"]).tolist() == [b"?", b"?"]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 7, "scale")
    assert predict(version, predict_request("m", "", x=X)).model_spec.signature_name == "serving_default"


def test_the_outputs_that_are_asked_for(version):
    request = predict_request("m", "scale", x=X)
    request.output_filter.append("greeting")
    assert list(predict(version, request).outputs) == ["greeting"]
    with pytest.raises(RequestError, match="duplicate output tensor alias: y"):
        checked_outputs(version.signatures["scale"], ["y", "y"])
    with pytest.raises(RequestError, match="output tensor alias not found in signature: z"):
        checked_outputs(version.signatures["scale"], ["z"])


# As the table of shared knowledge of TensorFlow Serving's words has them.
WRONG = [
    ("double", {}, r"input size does not match signature: 0!=1 .* Missing but required: \{x\}"),
    ("double", {"x": X, "z": X}, r"input size does not match signature: 2!=1 .* Sent extra: \{z\}"),
    ("scale", {"name": ["a"]}, "x not found in request and no default value provided"),
    ("scale", {"x": X, "z": X}, "input tensor alias not found in signature: z"),
    ("scale", {"x": X.astype(np.float64)}, "to be float but double is provided"),
    ("scale", {"x": [["a", "b"]]}, "to be float but string is provided"),
    ("scale", {"x": X, "name": [1.0, 2.0]}, r"Expects arg\[0\] to be string but float is provided"),
    ("scale", {"x": np.ones([51, 2], np.float32)}, "Task size 51 is larger than maximum input batch size 50"),
    ("scale", {"x": X, "times": np.ones(3, np.int32)}, "must have one row, or as many as the largest"),
    ("scale", {"x": np.float32(1)}, r"shape \(\)"),
]


@pytest.mark.parametrize(("signature", "inputs", "words"), WRONG)
def test_requests_at_fault(version, signature, inputs, words):
    with pytest.raises(RequestError, match=words) as caught:
        predict(version, predict_request("m", signature, **inputs), 50)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_the_defaults_are_those_of_the_signature(version):
    inputs = request_inputs(version.signatures["scale"], predict_request("m", "", x=X).inputs)
    assert inputs["times"].tolist() == [1] and inputs["words"].tolist() == [[b"", b"", b""]]


def test_tensors_that_are_none():
    proto = tf.make_tensor_proto(X)
    assert to_array("x", proto).tolist() == X.tolist()
    assert to_array("x", tf.make_tensor_proto(["a", "b"])).tolist() == [b"a", b"b"]
    empty = tf.make_tensor_proto(["a"])
    del empty.string_val[:]
    assert to_array("x", empty).tolist() == [b""]
    for change in (
        lambda p: setattr(p.tensor_shape.dim[0], "size", 3),
        lambda p: setattr(p.tensor_shape.dim[0], "size", -1),
        lambda p: setattr(p.tensor_shape.dim[0], "size", MAX_VALUES),
        lambda p: setattr(p.tensor_shape, "unknown_rank", True),
        lambda p: setattr(p, "dtype", 0),
        lambda p: setattr(p, "dtype", 7),
        lambda p: p.tensor_shape.dim.extend(p.tensor_shape.dim[:1] * 300),
    ):
        garbled = tf.make_tensor_proto(X)
        change(garbled)
        with pytest.raises(RequestError, match="tensor parsing error: x"):
            to_array("x", garbled)
