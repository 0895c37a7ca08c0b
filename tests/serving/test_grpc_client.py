import http.server
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.serving.certificates import write_certificates
from tfmmrec.serving.client import connect
from tfmmrec.serving.grpc_client import GrpcTransport
from tfmmrec.serving.retries import Retries
from tfmmrec.serving.server_error import ServerError, WrongAddress
from tfmmrec.serving.signature_info import SignatureInfo


class Canned(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    """Answers with what it was sent, or with prepared errors; remembers what it was asked."""

    def __init__(self):
        self.errors, self.asked = [], []

    def Predict(self, request, context):  # noqa: N802
        self.asked.append(request)
        if self.errors:
            context.abort(*self.errors.pop(0))
        return predict_pb2.PredictResponse(outputs=request.inputs)

    def GetModelStatus(self, request, context):  # noqa: N802
        self.asked.append(request)
        status = get_model_status_pb2.ModelVersionStatus(version=5, state=30)
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[status])


def _serve(canned, certificates=None):
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(canned, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(canned, server)
    if certificates is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (certificates.key.read_bytes(), certificates.chain.read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    return server, port


@pytest.fixture
def canned():
    made = Canned()
    server, made.port = _serve(made)
    yield made
    server.stop(0)


def test_tensors_go_and_come_as_they_are(canned):
    transport = GrpcTransport(f"127.0.0.1:{canned.port}", "m", version=3)
    inputs = {
        "text": np.array([[b"a", b"\xff\x00"]], object),
        "none": np.empty([0, 2], object),
        "k": np.array([1, 2], np.int32),
        "v": np.array([[np.nan, -np.inf]], np.float32),
        "large": np.zeros([1_500_000], np.float32),
    }
    found = transport.predict("s", inputs, SignatureInfo({}, {}), 10.0)
    for name, array in inputs.items():
        np.testing.assert_array_equal(found[name], array)
    spec = canned.asked[0].model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 3, "s")
    transport.close()


def test_a_label(canned):
    transport = GrpcTransport(f"127.0.0.1:{canned.port}", "m", label="stable")
    assert transport.status(10.0) == {5: "AVAILABLE"}
    assert canned.asked[0].model_spec.version_label == "stable"
    transport.close()


def test_errors_have_the_server_s_words_and_only_transient_ones_are_tried_again(canned):
    transport = GrpcTransport(f"127.0.0.1:{canned.port}", "m")
    empty, inputs = SignatureInfo({}, {}), {"k": np.array([1], np.int32)}
    retries = Retries(first_seconds=0.01)

    def ask():
        return retries.call(lambda seconds: transport.predict("s", inputs, empty, seconds), 10.0, "a")

    canned.errors += [(grpc.StatusCode.UNAVAILABLE, "busy")] * 2
    assert ask()["k"].tolist() == [1] and len(canned.asked) == 3
    canned.errors.append((grpc.StatusCode.INVALID_ARGUMENT, "no such input"))
    with pytest.raises(ServerError, match="INVALID_ARGUMENT: no such input"):
        ask()
    assert len(canned.asked) == 4
    transport.close()


def test_a_server_that_is_not_there():
    with connect("grpc://127.0.0.1:1/m", retries=Retries(attempts=1)) as client:
        with pytest.raises(ServerError, match="Connection refused; is the server running .* gRPC at 8500") as caught:
            client.status()
    assert (caught.value.code, caught.value.is_transient) == ("UNAVAILABLE", True)


def test_the_port_of_rest():
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    with connect(f"grpc://127.0.0.1:{server.server_port}/m") as client:
        with pytest.raises(WrongAddress, match="does not speak gRPC; is it the port of REST.* at port 8501") as caught:
            client.status()
    assert not caught.value.is_transient
    server.shutdown()
    server.server_close()


def test_a_connection_is_encrypted_and_the_server_s_certificate_is_looked_at(tmp_path):
    certificates = write_certificates(tmp_path)
    server, port = _serve(Canned(), certificates)
    with connect(f"grpcs://127.0.0.1:{port}/m", root_certificates=certificates.roots) as client:
        assert client.status() == {5: "AVAILABLE"}
    with connect(f"grpcs://127.0.0.1:{port}/m") as client:
        with pytest.raises(ServerError, match="(?i)handshake|certificate") as caught:
            client.status()
    assert not caught.value.is_transient, "trust does not come by asking again"
    server.stop(0)
