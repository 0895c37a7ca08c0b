import pytest
from tensorflow_serving.apis import get_model_metadata_pb2

from tfmmrec.serving.development_server.model_messages import (
    as_json,
    check_metadata_fields,
    model_metadata,
    model_status,
)
from tfmmrec.serving.development_server.request_error import RequestError


def test_metadata_are_the_signatures(version):
    message = model_metadata("small", version)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert message.metadata["signature_def"].Unpack(signatures)
    assert dict(signatures.signature_def) == version.signatures
    content = as_json(message)
    assert content["model_spec"] == {"name": "small", "version": "7", "signature_name": ""}
    described = content["metadata"]["signature_def"]["signature_def"]["scale"]
    assert described["method_name"] == "tensorflow/serving/predict"
    assert described["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in described["inputs"]["x"]["tensor_shape"]["dim"]] == ["-1", "2"]
    assert described["defaults"]["times"]["int_val"] == [1]


def test_which_metadata_there_are():
    check_metadata_fields(["signature_def"])
    with pytest.raises(RequestError, match="at least one metadata_field"):
        check_metadata_fields([])
    with pytest.raises(RequestError, match="Metadata field other is not supported"):
        check_metadata_fields(["signature_def", "other"])


def test_status(server):
    versions = server.versions
    found = as_json(model_status(versions, "small", None, None))
    expected = {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert found == {"model_version_status": [expected]}
    assert as_json(model_status(versions, "small", 7, None)) == found
    with pytest.raises(RequestError, match="Could not find version 8 of model small") as caught:
        model_status(versions, "small", 8, None)
    assert caught.value.code == "NOT_FOUND"
    with pytest.raises(RequestError, match="Could not find any versions of model other"):
        model_status(versions, "other", None, None)
    with pytest.raises(RequestError, match="Unrecognized servable version label: l"):
        model_status(versions, "small", None, "l")
