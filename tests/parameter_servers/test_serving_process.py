import socket
import threading
import time

import pytest

from tfmmrec.parameter_servers import serving_process
from tfmmrec.parameter_servers.serving_process import wait_for


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


def test_a_chief_that_does_not_come():
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))  # nobody listens there
        with pytest.raises(RuntimeError, match="no chief came to 127.0.0.1:.* within 0 seconds: start it"):
            wait_for(f"127.0.0.1:{port.getsockname()[1]}", 0.1)
