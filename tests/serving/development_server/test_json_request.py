import numpy as np
import pytest

from tfmmrec.serving.development_server.json_request import read_inputs, read_json, signature_name
from tfmmrec.serving.development_server.request_error import RequestError

DTYPES = {"a": "float32", "b": "string"}
ONE = {"a": "float32"}


def test_rows():
    found, are_rows = read_inputs({"instances": [{"a": [1, 2], "b": "x"}, {"a": [3, 4], "b": "y"}]}, DTYPES)
    assert are_rows
    np.testing.assert_array_equal(found["a"], np.array([[1, 2], [3, 4]], np.float32))
    assert found["b"].tolist() == [b"x", b"y"]


def test_columns():
    found, are_rows = read_inputs({"inputs": {"a": [[1, 2]], "b": ["x"], "more": 1}}, DTYPES)
    assert not are_rows and found["a"].tolist() == [[1, 2]] and found["b"].tolist() == [b"x"]
    assert set(found) == {"a", "b"}, "TensorFlow Serving looks at no other keys"


def test_one_input_needs_no_name():
    assert read_inputs({"instances": [1, 2]}, ONE)[0]["a"].tolist() == [1, 2]
    assert read_inputs({"inputs": [[1], [2]]}, ONE)[0]["a"].tolist() == [[1], [2]]
    assert read_inputs({"instances": [{"b64": "YQ=="}]}, {"b": "string"})[0]["b"].tolist() == [b"a"]
    assert read_inputs({"inputs": {"b64": "YQ=="}}, {"b": "string"})[0]["b"] == b"a"


WRONG = [
    ({}, "Missing 'inputs' or 'instances' key"),
    ({"inputs": {}, "instances": []}, "expecting only one of 'inputs' or 'instances' keys"),
    ({"instances": 3}, "Excepting 'instances' to be an list/array"),
    ({"instances": []}, "No values in 'instances' array"),
    ({"instances": [1]}, "instances is a plain list, but expecting list of objects"),
    ({"instances": [{"b64": ""}]}, "expecting list of objects"),
    ({"instances": [{"a": 1, "b": ""}, [1]]}, "Expecting object but got list at item 1 of input list"),
    ({"instances": [{"a": 1}]}, "Failed to process element: 0 of 'instances' list. JSON object: "),
    ({"instances": [{"a": 1}]}, "keys must be equal to: a,b"),
    ({"instances": [{"a": 1, "b": "", "c": 2}]}, "JSON object: does not have named input: c"),
    (
        {"instances": [{"a": "?", "b": ""}]},
        "Failed to process element: 0 key: a of 'instances' list. Error: JSON",
    ),
    ({"instances": [{"a": [1], "b": ""}, {"a": [1, 2], "b": ""}]}, "Expecting tensor size: 1 but got: 2"),
    ({"instances": [{"a": [1], "b": ""}, {"a": [[1]], "b": ""}]}, "Expecting shape [1] but got: [1,1]"),
    ({"inputs": 3}, "inputs is a plain value/list, but expecting an object"),
    ({"inputs": {"a": 1}}, "Missing named input: b in 'inputs' object."),
    ({"inputs": {"a": [[1], [2, 3]], "b": ""}}, "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
]


@pytest.mark.parametrize(("content", "words"), WRONG)
def test_bodies_that_do_not_fit(content, words):
    with pytest.raises(RequestError) as caught:
        read_inputs(content, DTYPES)
    assert words in caught.value.message and caught.value.http_status == 400


def test_plain_rows_of_one_input():
    with pytest.raises(RequestError, match="Expecting value/list but got object at item 1"):
        read_inputs({"instances": [1, {"a": 1}]}, ONE)
    with pytest.raises(RequestError, match="Failed to process element: 1 of 'instances' list. Error: Expecting tensor"):
        read_inputs({"instances": [[1], [1, 2]]}, ONE)
    with pytest.raises(RequestError, match="Failed to get input map for signature: odd"):
        read_inputs({"instances": [1], "signature_name": "odd"}, {})


NO_JSON = [
    (b"", "JSON Parse error: The document is empty"),
    (b"{", "at offset: 1"),
    (b'{"a": 1} x', "at offset: 9"),
    (b'{"a": "\xff"}', "JSON Parse error: Invalid encoding in string. at offset: 7"),
    (b"[" * 100_000, "JSON Parse error"),
    (b'{"a": ' + b"1" * 5_000 + b"}", "JSON Parse error"),
    (b"[1]", "JSON Value: [1] Is not object"),
    (b"3", "JSON Value: 3 Is not object"),
]


@pytest.mark.parametrize(("body", "words"), NO_JSON)
def test_bodies_that_are_no_object(body, words):
    with pytest.raises(RequestError) as caught:
        read_json(body)
    assert words in caught.value.message


def test_the_signature():
    assert signature_name({}) == "" and signature_name({"signature_name": "s"}) == "s"
    with pytest.raises(RequestError, match="'signature_name' key must be a string value"):
        signature_name({"signature_name": 3})
