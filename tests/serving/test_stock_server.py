import os
import signal
import stat
import sys
import threading
import time

import pytest

from tfmmrec.serving.stock_server import StockServer, binary_server, docker_server, run_stock_server

PLACE = {"host": "127.0.0.1", "port": 9001, "grpc_port": 9000, "poll_seconds": 0.5}


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    """The only folder on the PATH; `put(name, script)` puts a program there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(stat.S_IRWXU)

    return put


def test_the_binary_s_command_line(bin_folder, tmp_path):
    assert binary_server("models/shop", "shop", **PLACE) == "no tensorflow_model_server is on the PATH"
    bin_folder("tensorflow_model_server", "exit 0")
    found = binary_server("models/shop", "shop", **PLACE)
    assert found.kind == "binary" and found.command == [
        str(tmp_path / "bin" / "tensorflow_model_server"),
        "--port=9000",
        "--rest_api_port=9001",
        "--model_name=shop",
        f"--model_base_path={os.path.abspath('models/shop')}",
        "--file_system_poll_wait_seconds=1",
    ]
    assert "not at 127.0.0.1 alone" in found.note


def test_docker_has_to_answer_and_to_have_the_image(bin_folder, tmp_path):
    assert docker_server("models/shop", "shop", **PLACE) == "no docker is on the PATH"
    bin_folder("docker", "exit 1")
    assert docker_server("models/shop", "shop", **PLACE) == "Docker does not answer"
    bin_folder("docker", '[ "$1" = info ]')
    assert "`docker pull tensorflow/serving` fetches it" in docker_server("models/shop", "shop", **PLACE)
    bin_folder("docker", "exit 0")
    command = " ".join(docker_server("models/shop", "shop", **PLACE).command)
    assert command.startswith(f"{tmp_path}/bin/docker run --rm --init")
    assert "--publish 127.0.0.1:9001:8501 --publish 127.0.0.1:9000:8500" in command
    assert f"source={os.path.abspath('models/shop')},target=/models/shop,readonly" in command
    assert "--env MODEL_NAME=shop tensorflow/serving --file_system_poll_wait_seconds=1" in command


def test_its_exit_status():
    assert run_stock_server(StockServer("binary", [sys.executable, "-c", "raise SystemExit(3)"])) == 3


def test_sigterm_is_passed_on():
    before = signal.getsignal(signal.SIGTERM)
    server = StockServer("binary", [sys.executable, "-c", "import time; time.sleep(60)"])
    start = time.monotonic()
    ask = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    assert run_stock_server(server, on_start=ask.start) == 0, "who is asked to end has not failed"
    assert time.monotonic() - start < 30 and signal.getsignal(signal.SIGTERM) == before
