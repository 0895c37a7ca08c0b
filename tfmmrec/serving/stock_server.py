"""TensorFlow Serving itself, where this machine has it: its binary, or Docker with its image."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

BINARY = "tensorflow_model_server"
IMAGE = "tensorflow/serving"
_REST_PORT, _GRPC_PORT = 8501, 8500  # of the image
_ASK_SECONDS = 10


@dataclass(frozen=True)
class StockServer:
    """How TensorFlow Serving is started.

    Attributes:
        kind: "binary" or "docker".
        command: the whole command line.
        note: what a person should know of it, "" for nothing.
    """

    kind: str
    command: list[str]
    note: str = ""


def binary_server(folder: str, name: str, host: str, port: int, grpc_port: int, poll_seconds: float):
    """The binary's command line, or why it cannot be run.

    Args:
        folder: of the model's versions.
        name: of the model.
        host: the address to listen at, which the binary cannot be told.
        port: of REST.
        grpc_port: of gRPC.
        poll_seconds: between two looks into the folder.

    Returns:
        A `StockServer`, or a text.
    """
    path = shutil.which(BINARY)
    if path is None:
        return f"no {BINARY} is on the PATH"
    command = [
        path,
        f"--port={grpc_port}",
        f"--rest_api_port={port}",
        f"--model_name={name}",
        f"--model_base_path={os.path.abspath(folder)}",
        f"--file_system_poll_wait_seconds={max(math.ceil(poll_seconds), 1)}",
    ]
    return StockServer("binary", command, f"it listens at every address of this machine, not at {host} alone")


def docker_server(folder: str, name: str, host: str, port: int, grpc_port: int, poll_seconds: float):
    """Docker's command line, or why it cannot be run; the arguments are those of `binary_server`.

    The image is not downloaded by the way: it has to be there.

    Returns:
        A `StockServer`, or a text.
    """
    path = shutil.which("docker")
    if path is None:
        return "no docker is on the PATH"
    if not _succeeds([path, "info"]):
        return "Docker does not answer"
    if not _succeeds([path, "image", "inspect", IMAGE]):
        return f"Docker has no image {IMAGE}; `docker pull {IMAGE}` fetches it"
    command = [path, "run", "--rm", "--init"]
    command += ["--publish", f"{host}:{port}:{_REST_PORT}", "--publish", f"{host}:{grpc_port}:{_GRPC_PORT}"]
    command += ["--mount", f"type=bind,source={os.path.abspath(folder)},target=/models/{name},readonly"]
    command += ["--env", f"MODEL_NAME={name}", IMAGE]
    command += [f"--file_system_poll_wait_seconds={max(math.ceil(poll_seconds), 1)}"]
    return StockServer("docker", command)


def run_stock_server(server: StockServer, on_start: Callable[[], None] = lambda: None) -> int:
    """Runs it until it ends; SIGTERM and SIGINT are passed on to it.

    Args:
        server: what to run.
        on_start: called once it has been started.

    Returns:
        Its exit status; 0 where it was asked to end, which it does by the signal itself.
    """
    earlier, asked = {}, []

    def pass_on(number: int, _: object) -> None:
        asked.append(number)
        process.send_signal(signal.SIGTERM)

    process = subprocess.Popen(server.command, start_new_session=True)
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            earlier[number] = signal.signal(number, pass_on)
        on_start()
        status = process.wait()
        return 0 if asked else status
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        if process.poll() is None:
            process.kill()
            process.wait()


def _succeeds(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_ASK_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
