import json

import numpy as np
import pytest

from tfmmrec.serving.development_server.json_tensor import (
    columns_to_json,
    dense_shape,
    fill,
    is_base64,
    make_array,
    rows_to_json,
    shown,
    type_name,
)
from tfmmrec.serving.development_server.request_error import RequestError


def _array(value, dtype):
    shape, flat = dense_shape(value), []
    fill(value, 0, dtype, shape, flat)
    return make_array(flat, shape, dtype)


@pytest.mark.parametrize("value", [3, [1, 2], [[1, 2], [3, 4]], [], [[], []], [[[5]]]])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_numbers_as_numpy_has_them(value, dtype):
    found = _array(value, dtype)
    np.testing.assert_array_equal(found, np.array(value, dtype))
    assert found.dtype == dtype


def test_texts_bytes_and_truth():
    assert _array(["a", {"b64": "/+8="}, {"b64": "/+8"}], "string").tolist() == [b"a", b"\xff\xef", b"\xff\xef"]
    assert _array([True, False], "bool").tolist() == [True, False]
    assert is_base64({"b64": ""}) and not is_base64({"b64": 1}) and not is_base64({"b64": "", "a": 1})
    assert np.isneginf(_array(json.loads("[-Infinity]"), "float32")).all()


WRONG = [
    ("a", "float32", 'JSON Value: "a" Type: String is not of expected type: float'),
    (1.5, "int32", "JSON Value: 1.5 Type: Number is not of expected type: int32"),
    (True, "int32", "JSON Value: true Type: True is not of expected type: int32"),
    (None, "float64", "JSON Value: null Type: Null is not of expected type: double"),
    (1, "string", "JSON Value: 1 Type: Number is not of expected type: string"),
    (2**31, "int32", "is not of expected type: int32"),
    (-1, "uint8", "is not of expected type: uint8"),
    (2**24, "float32", "Cannot convert JSON value: 16777216 to float without loss of precision."),
    (1e39, "float32", "to float without loss of precision"),
    ({"b64": "?"}, "string", "Unable to base64 decode"),
    ({"b64": "ü"}, "string", "Unable to base64 decode"),
    ({"b63": "AA=="}, "string", "not formatted correctly for base64 data"),
    ({"b64": "AA=="}, "float32", "Type: Object is not of expected type: float"),
    ("\ud800", "string", "The surrogate pair in string is invalid."),
    ([[1], 2], "float32", "found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    ([1, [2]], "float32", "Encountered list at unexpected level: 1 expected < 1"),
    ([[1], [2, 3]], "float32", "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
    (1, "complex64", "is not of expected type: complex64"),
]


@pytest.mark.parametrize(("value", "dtype", "words"), WRONG)
def test_values_of_another_type(value, dtype, words):
    with pytest.raises(RequestError) as caught:
        _array(value, dtype)
    assert words in caught.value.message and caught.value.code == "INVALID_ARGUMENT"


def test_lists_within_lists_without_end():
    value = []
    for _ in range(500):
        value = [value]
    with pytest.raises(RequestError, match="Encountered list at unexpected level"):
        dense_shape(value)
    assert len(shown(value)) < 50 and len(shown("a" * 9_000)) < 400


OUTPUTS = {"y": np.array([[1, 2], [3, 4]], np.float32), "text": np.array([b"a", b"\xff"], object)}


def test_rows_and_columns():
    assert rows_to_json(OUTPUTS) == {"predictions": [{"text": "a", "y": [1, 2]}, {"text": "�", "y": [3, 4]}]}
    assert columns_to_json(OUTPUTS) == {"outputs": {"text": ["a", "�"], "y": [[1, 2], [3, 4]]}}
    one = {"y": OUTPUTS["y"]}
    assert rows_to_json(one) == {"predictions": [[1, 2], [3, 4]]}
    assert columns_to_json(one) == {"outputs": [[1, 2], [3, 4]]}


def test_bytes_are_told_by_their_name():
    assert rows_to_json({"a_bytes": OUTPUTS["text"]}) == {"predictions": [{"b64": "YQ=="}, {"b64": "/w=="}]}


def test_shapes_of_texts():
    cube = np.array([[["a", "b"]], [["c", "d"]], [["e", "f"]]]).astype("S").astype(object)
    assert columns_to_json({"x": cube}) == {"outputs": [[["a", "b"]], [["c", "d"]], [["e", "f"]]]}
    assert columns_to_json({"x": np.empty([2, 0], object)}) == {"outputs": [[], []]}
    assert columns_to_json({"x": np.array(b"a", object)}) == {"outputs": "a"}


def test_outputs_that_have_no_rows():
    with pytest.raises(RequestError, match="Tensor name: y has no shape information"):
        rows_to_json({"y": np.float32(1)})
    with pytest.raises(RequestError, match="Tensor name: z has inconsistent batch size: 3 expecting: 2"):
        rows_to_json({"y": np.ones([2, 1]), "z": np.ones(3)})


def test_names_of_types():
    assert [type_name(name) for name in ("float32", "float64", "int32")] == ["float", "double", "int32"]
