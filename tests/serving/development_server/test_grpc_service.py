import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from tests.serving.development_server.small_model import predict_request

X = np.array([[1, 2]], np.float32)


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as made:
        yield made


@pytest.fixture(scope="module")
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def _refused(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=10)
    return caught.value.code().name, caught.value.details()


def test_predict(prediction):
    response = prediction.Predict(predict_request("small", "scale", x=X, times=[2]), timeout=10)
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [[6, 12]] and response.model_spec.version.value == 7


def test_bytes_go_as_they_are(prediction):
    shot = b"\x00\xff\x89PNG"
    response = prediction.Predict(predict_request("small", "look", shot=[shot]), timeout=10)
    assert tf.make_ndarray(response.outputs["shot_bytes"]).tolist() == [shot]
    assert tf.make_ndarray(response.outputs["size"]).tolist() == [6]


def _version(request, number):
    request.model_spec.version.value = number
    return request


def _label(request):
    request.model_spec.version_label = "stable"
    return request


REFUSED = [
    (predict_request("other", "scale", x=X), "NOT_FOUND", "Servable not found for request: Latest(other)"),
    (_version(predict_request("small", "", x=X), 8), "NOT_FOUND", "request: Specific(small, 8)"),
    (_label(predict_request("small", "", x=X)), "INVALID_ARGUMENT", "Unrecognized servable version label: stable"),
    (predict_request("small", "S", x=X), "FAILED_PRECONDITION", 'Serving signature key "S" not found.'),
    (predict_request("small", "scale", x=[["a"]]), "INVALID_ARGUMENT", "to be float but string is provided"),
    (predict_request("", "scale", x=X), "INVALID_ARGUMENT", "Missing ModelSpec"),
    (
        predict_request("small", "scale", x=X, times=[1, 2, 3]),
        "INVALID_ARGUMENT",
        "must have one row, or as many as the largest",
    ),
]


@pytest.mark.parametrize(("request_", "code", "words"), REFUSED, ids=[entry[2] for entry in REFUSED])
def test_what_is_refused(prediction, request_, code, words):
    found, told = _refused(prediction.Predict, request_)
    assert found == code and words in told and "Traceback" not in told


def test_too_large_a_message(prediction):
    code, _ = _refused(prediction.Predict, predict_request("small", "look", shot=[b"a" * 300_000]))
    assert code == "RESOURCE_EXHAUSTED"


def test_metadata(prediction, version):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "small"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    prediction.GetModelMetadata(request, timeout=10).metadata["signature_def"].Unpack(signatures)
    assert dict(signatures.signature_def) == version.signatures
    request.metadata_field.append("other")
    assert _refused(prediction.GetModelMetadata, request)[0] == "INVALID_ARGUMENT"


def test_status(channel):
    service = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "small"
    (entry,) = service.GetModelStatus(request, timeout=10).model_version_status
    assert (entry.version, entry.state) == (7, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    request.model_spec.name = "other"
    assert _refused(service.GetModelStatus, request) == ("NOT_FOUND", "Could not find any versions of model other")


def test_methods_that_it_does_not_have(prediction):
    request = classification_pb2.ClassificationRequest()
    assert _refused(prediction.Classify, request) == ("UNIMPLEMENTED", "the development server has no Classify")


def test_a_failure_of_the_server_s_own_shows_nothing_of_it(prediction, server, monkeypatch):
    monkeypatch.setattr(server.versions, "lease", None)
    code, told = _refused(prediction.Predict, predict_request("small", "scale", x=X))
    assert (code, told) == ("INTERNAL", "the server failed; its log says more")
