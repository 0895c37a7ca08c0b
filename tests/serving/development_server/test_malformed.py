"""Whatever is sent or put into the folder: no crash, no hang, no traceback to the client, and then good answers."""

from __future__ import annotations

import random
import shutil
import socket

import grpc
import numpy as np
import pytest
import requests

from tests.serving.development_server.malformed import break_model, grpc_request, is_parsed, rest_request
from tests.serving.development_server.small_model import predict_request
from tfmmrec.serving.client import connect
from tfmmrec.serving.development_server.served_versions import ServedVersions

PREDICT = "/tensorflow.serving.PredictionService/Predict"
SECONDS = 20
REST_STATUSES = {200, 400, 404, 405, 413, 501}
GRPC_CODES = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}
SMALL_ROWS = {
    "scale": {"x": [1, 2], "name": "a", "times": 1, "words": ["", "b", ""]},
    "double": {"x": [1, 2]},
    "look": {"shot": {"b64": "AP+JUE5H"}},
}


def _no_traces(text: str) -> None:
    for trace in ("Traceback", 'File "', "site-packages", "[[{{node"):
        assert trace not in text, text


def _send_rest(server, rows, seed: int, count: int) -> set[int]:
    """Sends malformed requests, and checks what comes back; returns the statuses."""
    draw, statuses = random.Random(seed), set()
    with requests.Session() as session:
        for _ in range(count):
            method, path, body = rest_request(draw, server.name, rows)
            url = f"http://127.0.0.1:{server.port}{path}"
            try:
                response = session.request(method, url, data=body, timeout=SECONDS, allow_redirects=False)
            except requests.exceptions.ConnectionError:
                assert len(body) > server.options.max_request_bytes, (
                    "it hangs up on what is too large, and else on nobody"
                )
                continue
            assert response.status_code in REST_STATUSES, (
                response.status_code,
                method,
                path,
                body[:500],
                response.text,
            )
            _no_traces(response.text)
            if response.status_code not in (200, 404, 405) and method != "HEAD":
                assert isinstance(response.json()["error"], str)
            statuses.add(response.status_code)
    return statuses


def _send_grpc(server, good, seed: int, count: int) -> set[str]:
    """The same over gRPC; returns the codes."""
    draw, codes = random.Random(seed), set()
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        send = channel.unary_unary(PREDICT)  # bytes as they are
        for _ in range(count):
            request = grpc_request(draw, good)
            try:
                send(request, timeout=SECONDS)
                code, words = "OK", ""
            except grpc.RpcError as error:
                code, words = error.code().name, error.details()
            _no_traces(words)
            assert code in GRPC_CODES or (code == "INTERNAL" and not is_parsed(request)), (code, words, request)
            codes.add(code)
    return codes


def _small_requests():
    x = np.ones([2, 2], np.float32)
    return [
        predict_request("small", "scale", x=x, name=["a", "b"], times=[1, 2], words=[["a", "", ""]] * 2),
        predict_request("small", "double", x=x),
        predict_request("small", "look", shot=[b"\xff\x00"]),
    ]


def _still_answers(server, signature, row) -> None:
    for url in (server.rest_url, server.grpc_url):
        with connect(url) as client:
            assert len(client.ask(signature, [row])) == 1


def test_malformed_requests(server):
    statuses = _send_rest(server, SMALL_ROWS, seed=1, count=120)
    codes = _send_grpc(server, _small_requests(), seed=1, count=120)
    assert statuses >= {400, 404} and codes >= {"INVALID_ARGUMENT", "NOT_FOUND"}
    _still_answers(server, "scale", {"x": [1, 2]})


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 5))
def test_a_thousand_malformed_requests(server, seed):
    _send_rest(server, SMALL_ROWS, seed, count=600)
    _send_grpc(server, _small_requests(), seed, count=600)
    _still_answers(server, "scale", {"x": [1, 2]})


@pytest.mark.slow
def test_a_thousand_malformed_requests_to_a_model_of_ours(song_server):
    with connect(song_server.rest_url) as client:
        signatures = client.signatures
    rows, good = {}, []
    for name, signature in signatures.items():
        defaults = {key: info.default for key, info in signature.inputs.items()}
        asked = {key: np.array([b"a"], object) if value is None else value for key, value in defaults.items()}
        rows[name] = {key: _plain(value[0]) for key, value in asked.items()}
        good.append(predict_request("songs", name, **asked))
    _send_rest(song_server, rows, seed=9, count=600)
    _send_grpc(song_server, good, seed=9, count=600)
    _still_answers(song_server, "recommend", {"query_id": "q1"})


def _plain(value):
    if isinstance(value, bytes):
        return value.decode()
    return [entry.decode() for entry in value] if value.dtype == object else value.tolist()


def test_bytes_that_are_no_http(server):
    draw = random.Random(3)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
            connection.sendall(draw.choice((b"POST /v1/models/small:predict HTTP/1.1\r\n", b"")) + draw.randbytes(300))
            connection.shutdown(socket.SHUT_WR)
            _no_traces(connection.recv(2_000).decode(errors="replace"))
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
        connection.sendall(b"POST /v1/models/small:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
    _still_answers(server, "scale", {"x": [1, 2]})


def _serve_broken(small, folder, seeds) -> int:
    """Breaks the next version again and again; the first one answers all the time. Returns how many were refused."""
    told = []
    shutil.copytree(small, folder / "1")
    versions = ServedVersions(str(folder), "m", told.append)
    versions.poll()
    for seed in seeds:
        shutil.copytree(small, folder / "2")
        break_model(random.Random(seed), folder / "2")
        versions.poll()  # a changed value of a weight may load; all else is refused
        with versions.lease("m") as version:
            assert version.number in (1, 2)
            assert version.run("double", {"x": np.ones([1, 2], np.float32)})["y"].shape == (1, 2)
        for state in versions.states():
            _no_traces(state.error)
        shutil.rmtree(folder / "2")
        versions.poll()
        assert versions.current == 1
    versions.close()
    return sum("cannot be loaded" in line for line in told)


def test_broken_models(small, tmp_path):
    assert _serve_broken(small, tmp_path, range(15)) >= 8


@pytest.mark.slow
def test_many_broken_models(small, tmp_path):
    assert _serve_broken(small, tmp_path, range(100, 250)) >= 100
