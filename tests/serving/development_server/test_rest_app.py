import json
import socket

import pytest
import requests


def _post(server, body, path="/v1/models/small:predict"):
    data = body if isinstance(body, (bytes, str)) else json.dumps(body)
    response = requests.post(f"http://127.0.0.1:{server.port}{path}", data=data, timeout=10)
    return response.status_code, response.json()


def _row(**changed):
    return {"x": [1, 2], "name": "a", "times": 1, "words": ["", "", ""]} | changed


def test_rows(server):
    status, content = _post(server, {"signature_name": "scale", "instances": [_row(), _row(times=2, x=[0.5, 0])]})
    assert status == 200
    assert content == {"predictions": [{"greeting": "a", "y": [3, 6]}, {"greeting": "a", "y": [3, 0]}]}


def test_columns(server):
    columns = {key: [value] for key, value in _row().items()}
    status, content = _post(server, {"inputs": columns}, "/v1/models/small/versions/7:predict")
    assert (status, content) == (200, {"outputs": {"greeting": ["a"], "y": [[3, 6]]}})


def test_one_input_and_one_output_need_no_names(server):
    assert _post(server, {"signature_name": "double", "instances": [[1, 2]]}) == (200, {"predictions": [[2, 4]]})
    assert _post(server, {"signature_name": "double", "inputs": [[1, 2]]}) == (200, {"outputs": [[2, 4]]})


def test_bytes_come_and_go_as_base64(server):
    status, content = _post(server, {"signature_name": "look", "instances": [{"shot": {"b64": "AP+JUE5H"}}]})
    assert (status, content) == (200, {"predictions": [{"shot_bytes": {"b64": "AP+JUE5H"}, "size": 6}]})


REFUSED = [
    ("nonsense", "/v1/models/other:predict", 400, "JSON Parse error"),  # before the model is looked up
    ({"instances": [_row()]}, "/v1/models/other:predict", 404, "Servable not found for request: Latest(other)"),
    ({"instances": [_row()]}, "/v1/models/small/versions/8:predict", 404, "Specific(small, 8)"),
    ({"instances": [_row()]}, "/v1/models/small/labels/l:predict", 400, "Unrecognized servable version label: l"),
    ({"instances": [_row()]}, f"/v1/models/small/versions/{'9' * 30}:predict", 400, "Failed to convert version"),
    ({"signature_name": "S"}, None, 400, 'Serving signature name: "S" not found in signature def'),
    ({"inputs": {"x": [[1, 2]]}}, None, 400, "Missing named input: name in 'inputs' object."),
    ({"instances": [_row(more=1)]}, None, 400, "does not have named input: more"),
    ({"instances": [_row(times="a")]}, None, 400, 'JSON Value: "a" Type: String is not of expected type: int32'),
    ({"instances": [_row(words=[""] * 4), _row(words=[""] * 5)]}, None, 400, "Expecting tensor size: 4 but got: 5"),
    ({"instances": [_row(x=[1])]}, None, 400, "shape (1, 1)"),
    ({"instances": [_row()] * 51}, None, 400, "Task size 51 is larger than maximum input batch size 50"),
    ({"instances": [_row(name={"b64": "!"})]}, None, 400, "Unable to base64 decode"),
    ({"\ud800": 1, "inputs": {"\ud800": 1}}, None, 400, "Missing named input"),
    ({}, "/v1/models/small", 400, "Malformed request: POST /v1/models/small"),
    ({}, "/v1/models/small:explain", 400, "Malformed request: POST /v1/models/small:explain"),
    ({}, "/v1/models/small:classify", 501, "has no classify"),
]


@pytest.mark.parametrize(("body", "path", "status", "words"), REFUSED, ids=[entry[3] for entry in REFUSED])
def test_what_is_refused(server, body, path, status, words):
    found, content = _post(server, body, path or "/v1/models/small:predict")
    assert found == status and set(content) == {"error"} and words in content["error"], content
    assert "Traceback" not in content["error"]


def test_batches_that_differ_have_the_graph_s_words(server):
    columns = {"x": [[1, 2]] * 2, "name": ["a"] * 3, "times": [1], "words": [["", "", ""]]}
    status, content = _post(server, {"inputs": columns})
    assert status == 400 and "the rows of x, name, times, words are] [2 3 1 1]" in content["error"], content


def test_status_and_metadata(server):
    base = f"http://127.0.0.1:{server.port}/v1/models"
    found = requests.get(f"{base}/small", timeout=10).json()["model_version_status"]
    assert [(entry["version"], entry["state"]) for entry in found] == [("7", "AVAILABLE")]
    metadata = requests.get(f"{base}/small/versions/7/metadata", timeout=10).json()
    assert "double" in metadata["metadata"]["signature_def"]["signature_def"]
    assert requests.get(f"{base}/other/metadata", timeout=10).status_code == 404
    missing = requests.get(base, timeout=10)
    assert (missing.status_code, missing.json()["error"]) == (400, "Missing model name in request.")


def test_elsewhere_is_nothing(server):
    for path in ("", "/", "/v2/models/small", "/docs", "/openapi.json"):
        response = requests.get(f"http://127.0.0.1:{server.port}{path}", timeout=10)
        assert (response.status_code, response.content) == (404, b"")


def test_a_body_that_is_too_large_is_not_read(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/models/small:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


def test_a_body_in_chunks_without_end(server):
    def parts():
        while True:
            yield b" " * 50_000

    url = f"http://127.0.0.1:{server.port}/v1/models/small:predict"
    try:
        assert requests.post(url, data=parts(), timeout=10).status_code == 413
    except requests.exceptions.ConnectionError:
        pass  # it hung up while this side was still sending
    assert _post(server, {"signature_name": "double", "inputs": [[1, 2]]})[0] == 200


def test_a_failure_of_the_server_s_own_shows_nothing_of_it(server, monkeypatch):
    monkeypatch.setattr(server.versions, "lease", None)
    expected = (500, {"error": "the server failed; its log says more"})
    assert _post(server, {"inputs": [[1, 2]]}) == expected
