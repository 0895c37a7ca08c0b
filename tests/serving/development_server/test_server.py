import shutil
import socket
import threading
import time

import numpy as np
import pytest

from tests.serving.development_server.small_model import write_small
from tfmmrec.serving.client import connect
from tfmmrec.serving.development_server import DevelopmentServer, ServerOptions, served_versions
from tfmmrec.serving.development_server.model_version import ModelVersion
from tfmmrec.serving.retries import Retries
from tfmmrec.serving.server_error import ServerError
from tfmmrec.types import UsageError

FREE = {"port": 0, "grpc_port": 0, "poll_seconds": 0.05}
ONCE = Retries(attempts=1)


@pytest.fixture
def folder(small, tmp_path):
    shutil.copytree(small, tmp_path / "shop" / "1")
    return tmp_path / "shop"


def _until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def test_it_follows_the_folder(folder, tmp_path):
    told = []
    server = DevelopmentServer(folder, options=ServerOptions(**FREE), report=told.append)
    server.start()
    with connect(server.rest_url) as rest, connect(server.grpc_url) as grpc:
        for client in (rest, grpc):
            assert client.ask("scale", [{"x": [1, 2]}])[0]["y"].tolist() == [3, 6]
        write_small(tmp_path / "new", factor=5.0).rename(folder / "2")
        _until(lambda: server.versions.current == 2)
        for client in (rest, grpc):
            assert client.ask("scale", [{"x": [1, 2]}])[0]["y"].tolist() == [5, 10]
            assert client.status()[2] == "AVAILABLE"
    assert server.stop()
    assert told == [
        "Loading version 1 of shop ...",
        "Version 1 of shop is served; 2 warmup requests answered",
        "Loading version 2 of shop ...",
        "Version 1 of shop takes no more requests",
        "Version 2 of shop is served; 2 warmup requests answered",
        "Version 2 of shop takes no more requests",
    ]


def test_a_report_that_nobody_reads_ends_nothing(folder, tmp_path):
    def unread(text):
        raise SystemExit(1)

    server = DevelopmentServer(folder, options=ServerOptions(**FREE), report=unread)
    server.start()
    write_small(tmp_path / "new", factor=5.0).rename(folder / "2")
    _until(lambda: server.versions.current == 2)
    (folder / "2").rename(tmp_path / "bad")
    _until(lambda: server.versions.current == 1)
    assert server.stop()


def test_it_waits_for_a_first_version_that_loads(folder):
    (folder / "1").rename(folder / "away")
    server = DevelopmentServer(folder, options=ServerOptions(**FREE))
    server.start()
    with connect(server.rest_url, retries=ONCE) as client:
        with pytest.raises(ServerError, match="NOT_FOUND"):
            client.status()
        (folder / "away").rename(folder / "1")
        _until(lambda: server.versions.current == 1)
        assert client.status() == {1: "AVAILABLE"}
    server.stop()


def test_its_status_is_told_while_the_first_version_is_loaded(folder, monkeypatch):
    loading, go_on = threading.Event(), threading.Event()

    def load(number, path):
        loading.set()
        assert go_on.wait(60)
        return ModelVersion(number, path)

    monkeypatch.setattr(served_versions, "ModelVersion", load)
    server = DevelopmentServer(folder, options=ServerOptions(**FREE))
    starting = threading.Thread(target=server.start)
    starting.start()
    try:
        assert loading.wait(60)
        for url in (server.rest_url, server.grpc_url):
            with connect(url, retries=ONCE) as client:
                assert client.status() == {1: "LOADING"}
                with pytest.raises(ServerError, match="UNAVAILABLE: version 1 of shop is being loaded") as caught:
                    client.ask("double", [{"x": [1, 2]}])
                assert caught.value.is_transient
            with connect(f"{url}s", retries=ONCE) as client, pytest.raises(ServerError, match="NOT_FOUND"):
                client.ask("double", [{"x": [1, 2]}])
    finally:
        go_on.set()
        starting.join()
    with connect(server.rest_url, retries=ONCE) as client:
        assert client.status() == {1: "AVAILABLE"} and client.ask("double", [{"x": [1, 2]}])
    server.stop()


def test_what_is_under_way_is_answered_before_it_stops(folder):
    server = DevelopmentServer(folder, options=ServerOptions(**FREE))
    server.start()
    urls = (server.rest_url, server.grpc_url)
    clients = [connect(url, retries=ONCE, deadline_seconds=60) for url in urls]
    answers = []
    for client in clients:
        client.ask("work", [{"times": 1}])
    threads = [threading.Thread(target=lambda c=c: answers.append(c.ask("work", [{"times": 100}]))) for c in clients]
    for thread in threads:
        thread.start()
    _until(lambda: server.admission._num_inside == 2)
    assert server.stop()
    for thread in threads:
        thread.join()
    assert len(answers) == 2 and all(np.isfinite(rows[0]["done"]) for rows in answers)
    for url in urls:
        with connect(url, retries=ONCE) as client, pytest.raises(ServerError, match="UNAVAILABLE"):
            client.status()
    for client in clients:
        client.close()


def test_too_many_at_once_are_refused_and_come_back(folder):
    server = DevelopmentServer(folder, options=ServerOptions(**FREE, max_concurrency=1))
    server.start()
    with connect(server.grpc_url) as busy, connect(server.rest_url, retries=ONCE) as client:
        busy.ask("work", [{"times": 1}])
        client.ask("double", [{"x": [1, 2]}])
        thread = threading.Thread(target=lambda: busy.ask("work", [{"times": 60}]))
        thread.start()
        _until(lambda: server.admission._num_inside == 1)
        with pytest.raises(ServerError, match="UNAVAILABLE: 1 requests are under way already") as caught:
            client.ask("double", [{"x": [1, 2]}])
        assert caught.value.is_transient
        with connect(server.rest_url, retries=Retries(attempts=50), deadline_seconds=60) as patient:
            assert patient.ask("double", [{"x": [1, 2]}])[0]["y"].tolist() == [2, 4]
        thread.join()
    server.stop()


def test_it_listens_at_the_loopback(server):
    assert ServerOptions().host == "127.0.0.1"
    assert server.rest_url == f"http://127.0.0.1:{server.port}/v1/models/small"
    assert server.grpc_url == f"grpc://127.0.0.1:{server.grpc_port}/small"


def test_a_port_that_is_taken(folder, server):
    with pytest.raises(UsageError, match=f"127.0.0.1:{server.port} cannot be listened at: .*another --port"):
        DevelopmentServer(folder, options=ServerOptions(**FREE | {"port": server.port})).start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port} cannot be listened at; choose another --grpc-port"):
            DevelopmentServer(folder, options=ServerOptions(**FREE | {"grpc_port": port})).start()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])  # RFC 5737 and 6761: nobody's
def test_a_host_that_is_not_this_machine(folder, host):
    with pytest.raises(UsageError, match=rf"host must be an address of this machine, got {host} \(.*0\.0\.0\.0"):
        DevelopmentServer(folder, options=ServerOptions(**FREE, host=host)).start()


WRONG = [
    ({"port": -1}, "port must lie in 0 to 65535, got -1"),
    ({"grpc_port": 70_000}, "grpc_port must lie in"),
    ({"max_request_bytes": 0}, "max_request_bytes must be at least 1, got 0"),
    ({"max_batch_size": 0}, "max_batch_size must be at least 1"),
    ({"max_concurrency": 0}, "max_concurrency must be at least 1"),
    ({"poll_seconds": 0.0}, "poll_seconds must be above 0"),
    ({"drain_seconds": -1.0}, "drain_seconds must be at least 0"),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_options_that_cannot_be(options, words):
    with pytest.raises(UsageError, match=words):
        ServerOptions(**options)
