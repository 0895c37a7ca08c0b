"""A small model, loaded and served, once for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.serving.development_server.small_model import write_small
from tfmmrec.serving.development_server import DevelopmentServer, ServerOptions
from tfmmrec.serving.development_server.model_version import ModelVersion


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The folder of its only version."""
    return write_small(tmp_path_factory.mktemp("small") / "small" / "7")


@pytest.fixture(scope="session")
def version(small):
    return ModelVersion(7, str(small))


@pytest.fixture(scope="session")
def server(small):
    """A server of it on free ports of the loopback, with narrow limits."""
    options = ServerOptions(port=0, grpc_port=0, poll_seconds=0.2, max_request_bytes=200_000, max_batch_size=50)
    made = DevelopmentServer(small.parent, options=options)
    made.start()
    yield made
    made.stop()
