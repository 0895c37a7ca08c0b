"""Both protocols over one folder of versions, until it is told to stop."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import uvicorn
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tfmmrec.serving.development_server.admission import Admission
from tfmmrec.serving.development_server.grpc_service import ModelService, PredictionService
from tfmmrec.serving.development_server.rest_app import RestHandlers, make_app
from tfmmrec.serving.development_server.served_versions import ServedVersions
from tfmmrec.types import UsageError

_LOG = logging.getLogger(__name__)
_LAST_SECONDS = 5.0  # for each thread to end, after all is drained
_SPARE_THREADS = 8  # which refuse what is too much, and tell the state


@dataclass(frozen=True)
class ServerOptions:
    """What can be set of a server.

    Attributes:
        host: the address it listens at.
        port: of REST; 0 takes a free one.
        grpc_port: of gRPC; 0 takes a free one.
        poll_seconds: between two looks into the folder.
        max_request_bytes: of one request.
        max_batch_size: rows of one request.
        max_concurrency: requests that are answered at once; more are refused.
        drain_seconds: what is under way at the end has so long.
    """

    host: str = "127.0.0.1"
    port: int = 8501
    grpc_port: int = 8500
    poll_seconds: float = 1.0
    max_request_bytes: int = 64 << 20
    max_batch_size: int = 1024
    max_concurrency: int = 16
    drain_seconds: float = 30.0

    def __post_init__(self):
        for name in ("port", "grpc_port"):
            if not 0 <= getattr(self, name) < 65_536:
                raise UsageError(f"{name} must lie in 0 to 65535, got {getattr(self, name)}")
        for name in ("max_request_bytes", "max_batch_size", "max_concurrency"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.poll_seconds > 0:
            raise UsageError(f"poll_seconds must be above 0, got {self.poll_seconds}")
        if not self.drain_seconds >= 0:
            raise UsageError(f"drain_seconds must be at least 0, got {self.drain_seconds}")


class DevelopmentServer:
    """Serves the newest version in a folder over gRPC and REST. For development; see the package.

    Args:
        folder: of the versions.
        name: of the model; the folder's own where it is left out.
        options: see `ServerOptions`.
        report: called with a line whenever a version comes or goes.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        name: str | None = None,
        options: ServerOptions | None = None,
        report: Callable[[str], None] = _LOG.info,
    ):
        self.options = options or ServerOptions()
        folder = os.path.abspath(folder)
        self.name = name or os.path.basename(folder)
        self.versions = ServedVersions(folder, self.name, report)
        self.admission = Admission(self.options.max_concurrency)
        self.port = self.grpc_port = 0
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._grpc: grpc.Server | None = None
        self._rest: uvicorn.Server | None = None

    @property
    def rest_url(self) -> str:
        """Where REST clients find the model."""
        return f"http://{_bracketed(self.options.host)}:{self.port}/v1/models/{self.name}"

    @property
    def grpc_url(self) -> str:
        """Where gRPC clients find the model, as `serving.client.connect` takes it."""
        return f"grpc://{_bracketed(self.options.host)}:{self.grpc_port}/{self.name}"

    def start(self) -> None:
        """Listens, and loads the newest version; meanwhile the status says LOADING, and requests are told to come back.

        Raises:
            UsageError: a port is taken, or is not to be had, or the host is not this machine's.
        """
        listening = self._listen()
        try:
            self._start_grpc()
        except BaseException:
            listening.close()
            raise
        self._start_rest(listening)
        try:
            self.versions.poll()
        except BaseException:
            self.stop()
            raise
        self._begin(self._poll)

    def stop(self) -> bool:
        """Drains: takes nothing more, and waits for what is under way.

        Returns:
            Whether all of it was answered in time.
        """
        self._stopping.set()
        drained = self.admission.drain(self.options.drain_seconds)
        if self._grpc is not None:
            self._grpc.stop(grace=1.0).wait()
        if self._rest is not None:
            self._rest.should_exit = True
        for thread in self._threads:  # a version that is being loaded is not waited for
            thread.join(_LAST_SECONDS)
        self.versions.close()
        return drained

    def _listen(self) -> socket.socket:
        options = self.options
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle's on
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((options.host, options.port))
        except OSError as error:
            listening.close()
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise UsageError(
                    f"host must be an address of this machine, got {options.host} ({error.strerror}); 127.0.0.1 is "
                    "heard on this machine alone, 0.0.0.0 at all its addresses"
                ) from None
            raise UsageError(
                f"{options.host}:{options.port} cannot be listened at: {error.strerror}; choose another --port"
            ) from None
        self.port = listening.getsockname()[1]
        return listening

    def _start_grpc(self) -> None:
        options = self.options
        self._grpc = grpc.server(
            ThreadPoolExecutor(options.max_concurrency + _SPARE_THREADS, thread_name_prefix="grpc"),
            options=[
                ("grpc.max_receive_message_length", options.max_request_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # or two servers could share a port without a word
            ],
        )
        prediction = PredictionService(self.versions, self.admission, options.max_batch_size)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, self._grpc)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self.versions), self._grpc)
        try:
            self.grpc_port = self._grpc.add_insecure_port(f"{_bracketed(options.host)}:{options.grpc_port}")
        except RuntimeError:
            self.grpc_port = 0
        if not self.grpc_port:
            self._grpc = None
            raise UsageError(f"{options.host}:{options.grpc_port} cannot be listened at; choose another --grpc-port")
        self._grpc.start()

    def _start_rest(self, listening: socket.socket) -> None:
        options = self.options
        handlers = RestHandlers(self.versions, self.admission, options.max_batch_size)
        app = make_app(handlers, options.max_request_bytes, options.max_concurrency + _SPARE_THREADS)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5, timeout_keep_alive=60
        )
        self._rest = uvicorn.Server(config)
        self._begin(self._rest.run, [listening])
        while not self._rest.started and self._threads[-1].is_alive():
            self._stopping.wait(0.01)

    def _begin(self, target: Callable[..., None], *arguments) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _poll(self) -> None:
        while not self._stopping.wait(self.options.poll_seconds):
            try:
                self.versions.poll()
            except Exception as error:  # or no later version would ever be seen
                _LOG.warning("looking for versions failed, and is tried again: %s", error)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
