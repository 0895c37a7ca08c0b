import socket
import threading
import time

import pytest

from tfmmrec.parameter_servers import serving_process
from tfmmrec.parameter_servers.serving_process import serve, wait_for
from tfmmrec.types import UsageError


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(serving_process, "POLL_SECONDS", 0.02)


def test_it_waits_until_the_chief_has_come_and_gone():
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{port.getsockname()[1]}"
        waiting = threading.Thread(target=wait_for, args=(address, 30.0))
        waiting.start()
        time.sleep(0.1)
        port.listen()
        time.sleep(0.3)
        assert waiting.is_alive()
    waiting.join(timeout=10.0)
    assert not waiting.is_alive()


def test_a_chief_that_does_not_come(monkeypatch, caplog):
    monkeypatch.setattr(serving_process, "SILENT_SECONDS", 0.05)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))  # nobody listens there
        with pytest.raises(RuntimeError, match="no chief came to 127.0.0.1:.* within 0 seconds: start it"):
            wait_for(f"127.0.0.1:{port.getsockname()[1]}", 0.2)
    assert [message.rpartition(":")[0] for message in caplog.messages] == ["waits for the chief at 127.0.0.1"]


def test_a_server_whose_port_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as port:
        jobs = {"chief": ["a:1"], "worker": ["b:2"], "ps": [f"127.0.0.1:{port.getsockname()[1]}"]}
        with pytest.raises(UsageError, match="is to be this process's own, but its port cannot be had"):
            serve({"cluster": jobs, "task": {"type": "ps", "index": 0}}, tmp_path)
