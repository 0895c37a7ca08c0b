import http.server
import json
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.serving.certificates import write_certificates
from tfmmrec.serving.client import connect
from tfmmrec.serving.rest_client import RestTransport
from tfmmrec.serving.retries import Retries
from tfmmrec.serving.server_error import ServerError, WrongAddress
from tfmmrec.serving.signature_info import SignatureInfo, TensorInfo

TEXT, NUMBER = TensorInfo(np.dtype(object), ()), TensorInfo(np.dtype(np.float32), ())


class Canned:
    """A web server that gives prepared answers, in order, and remembers what it was asked."""

    def __init__(self, certificates=None):
        self.answers, self.asked, self.dribble_seconds = [], [], 0.0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802
                outer.asked.append((self.path, self.rfile.read(int(self.headers.get("Content-Length", 0)))))
                status, body = outer.answers.pop(0)
                if callable(body):
                    body = body()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for part in [body] if not outer.dribble_seconds else [body[i : i + 1] for i in range(len(body))]:
                    time.sleep(outer.dribble_seconds)
                    self.wfile.write(part)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.chain, certificates.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def canned():
    made = Canned()
    yield made
    made.close()


@pytest.fixture
def transport(canned):
    made = RestTransport(f"http://127.0.0.1:{canned.port}/v1/models/m")
    yield made
    made.close()


def _predict(transport, inputs, outputs, seconds=5.0):
    return transport.predict("s", inputs, SignatureInfo({}, outputs), seconds)


def test_requests_and_answers(canned, transport):
    canned.answers.append(
        (200, b'{"outputs": {"a": ["x", "\\u00e9"], "b": [1.5, -Infinity], "c_bytes": [{"b64": "/w=="}]}}')
    )
    inputs = {"text": np.array([b"t", b"\xff"], object), "k": np.array([1, 2], np.int32), "v": np.array([[np.nan]])}
    found = _predict(transport, inputs, {"a": TEXT, "b": NUMBER, "c_bytes": TEXT})
    ((path, body),) = canned.asked
    assert path == "/v1/models/m:predict"
    sent = json.loads(body)
    assert sent["signature_name"] == "s" and sent["inputs"]["text"] == ["t", {"b64": "/w=="}]
    assert sent["inputs"]["k"] == [1, 2] and np.isnan(sent["inputs"]["v"][0][0])
    assert found["a"].tolist() == [b"x", "é".encode()] and found["c_bytes"].tolist() == [b"\xff"]
    assert found["b"].tolist() == [1.5, -np.inf] and found["b"].dtype == np.float32


def test_one_output_has_no_name(canned, transport):
    canned.answers.append((200, b'{"outputs": [["a", "b"], ["c", ""]]}'))
    assert _predict(transport, {}, {"ids": TEXT})["ids"].tolist() == [[b"a", b"b"], [b"c", b""]]


ERRORS = [
    (400, b'{"error": "no such input"}', "INVALID_ARGUMENT", "no such input", False),
    (404, b'{"error": "Servable not found"}', "NOT_FOUND", "Servable not found", False),
    (503, b'{"error": "busy"}', "UNAVAILABLE", "busy", True),
    (502, b"<html>", "UNAVAILABLE", "HTTP status 502 and no JSON", True),
    (413, b'{"error": "large"}', "RESOURCE_EXHAUSTED", "large", False),
    (500, b"", "INTERNAL", "HTTP status 500 and no JSON", False),
    (302, b"", "UNKNOWN", "HTTP status 302 and no JSON", False),
    (200, b"<html>", "INTERNAL", "a model is at http://HOST:8501/v1/models/NAME", False),
    (200, b'{"outputs": {"other": []}}', "INTERNAL", "does not have the signature's outputs", False),
]


@pytest.mark.parametrize(("status", "body", "code", "words", "is_transient"), ERRORS)
def test_errors_have_the_server_s_words(canned, transport, status, body, code, words, is_transient):
    canned.answers.append((status, body))
    with pytest.raises(ServerError, match=words) as caught:
        _predict(transport, {}, {"a": TEXT, "b": TEXT})
    assert (caught.value.code, caught.value.is_transient) == (code, is_transient)


def test_answers_that_are_no_model_s(canned, transport):
    canned.answers += [(200, b'{"a": 1}')] * 2
    with pytest.raises(ServerError, match="no metadata of a model"):
        transport.metadata(5.0)
    with pytest.raises(ServerError, match="no status of a model"):
        transport.status(5.0)


def test_a_server_that_is_slow(canned, transport):
    canned.answers.append((200, lambda: time.sleep(1.0) or b"{}"))
    start = time.monotonic()
    with pytest.raises(ServerError, match="no answer within 0.2 s") as caught:
        transport.status(0.2)
    assert caught.value.code == "DEADLINE_EXCEEDED" and not caught.value.is_transient
    assert time.monotonic() - start < 0.9


def test_a_server_that_dribbles(canned, transport):
    """Every single read is in time, and the whole is not."""
    canned.dribble_seconds = 0.05
    canned.answers.append((200, b"[" * 40))
    start = time.monotonic()
    with pytest.raises(ServerError, match="no answer within 0.3 s"):
        transport.status(0.3)
    assert time.monotonic() - start < 1.0


def test_a_server_that_is_not_there():
    transport = RestTransport("http://127.0.0.1:1/v1/models/m")
    with pytest.raises(ServerError, match="cannot be reached: Connection refused; is the server running") as caught:
        transport.status(5.0)
    assert (caught.value.code, caught.value.is_transient) == ("UNAVAILABLE", True)


def test_the_port_of_grpc():
    """What such a server says first is no HTTP: it is not shown, and nobody asks again."""
    import grpc

    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    words = (
        r"UNAVAILABLE: what answers there does not speak HTTP; is it the port of gRPC\? REST is usually at port 8501"
    )
    with connect(f"http://127.0.0.1:{port}/v1/models/m") as client, pytest.raises(WrongAddress, match=words) as caught:
        client.status()
    assert not caught.value.is_transient and "\\x00" not in str(caught.value)
    server.stop(0)


def test_another_web_server(canned):
    canned.answers.append((404, b"<html>"))
    with connect(f"http://127.0.0.1:{canned.port}/v1/models/m") as client:
        with pytest.raises(WrongAddress, match="HTTP status 404 and no JSON; a model is at http://HOST:8501"):
            client.status()


def test_a_connection_is_encrypted_and_the_server_s_certificate_is_looked_at(tmp_path):
    certificates = write_certificates(tmp_path)
    canned = Canned(certificates)
    url = f"https://127.0.0.1:{canned.port}/v1/models/m"
    canned.answers.append((200, b'{"model_version_status": [{"version": "3", "state": "AVAILABLE"}]}'))
    with connect(url, root_certificates=certificates.roots) as client:
        assert client.status() == {3: "AVAILABLE"}
    with connect(url) as client, pytest.raises(ServerError, match="the connection is not trusted") as caught:
        client.status()
    assert not caught.value.is_transient, "asking again makes nobody trustworthy"
    canned.close()


def test_only_transient_errors_are_tried_again(canned):
    url = f"http://127.0.0.1:{canned.port}/v1/models/m"
    status = b'{"model_version_status": []}'
    canned.answers += [(503, b'{"error": "busy"}'), (503, b"busy"), (200, status)]
    with connect(url, retries=Retries(first_seconds=0.01)) as client:
        assert client.status() == {} and len(canned.asked) == 3
        canned.answers += [(400, b'{"error": "wrong"}'), (200, status)]
        with pytest.raises(ServerError, match="INVALID_ARGUMENT: wrong"):
            client.status()
        assert len(canned.asked) == 4


def test_it_imports_no_tensorflow(run_python, canned):
    canned.answers.append((200, b'{"model_version_status": [{"version": "3", "state": "AVAILABLE"}]}'))
    code = (
        "import sys\n"
        "from tfmmrec.serving.client import connect\n"
        f"print(connect('http://127.0.0.1:{canned.port}/v1/models/m').status())\n"
        "print([name for name in ('tensorflow', 'grpc', 'keras', 'pandas') if name in sys.modules])\n"
    )
    done = run_python(code)
    assert done.stdout == "{3: 'AVAILABLE'}\n[]\n", done.stdout + done.stderr
