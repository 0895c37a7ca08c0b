"""What stock TensorFlow Serving is started with, written beside the models.

    BASE/
        models.config            all names in BASE that have a version
        batching_parameters.txt  for those who want requests to be joined
        compose.yaml             `docker compose up` starts the server
        NAME/1/ ...

The first line of each file holds a digest of the others. A file whose digest is right is ours, and is replaced in one
step; one that somebody has changed, or written without us, is left as it is, and what would have been written goes
beside it, with `.new` at the end of its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

_MARK = "# Written by tfmmrec push, which leaves the file alone once it has been edited. Digest: "

# The server refuses a file of batching parameters where batching is off, so the flags come together or not at all.
_COMPOSE = """\
# docker compose up            serves every model beside this file: gRPC on 8500, REST on 8501, on this machine only
# SERVING_FLAGS='--enable_batching --batching_parameters_file=/models/batching_parameters.txt' docker compose up
#                              joins requests that come at the same time; see batching_parameters.txt first
# SERVING_IMAGE=google/tf-serving-scann docker compose up
#                              for models with an index of kind scann: a server that is built with ScaNN's operations
# A new version is served within SERVING_POLL_SECONDS, a new name within the same time.
services:
  serving:
    image: ${SERVING_IMAGE:-tensorflow/serving:latest}
    command: >-
      --model_config_file=/models/models.config
      --model_config_file_poll_wait_seconds=${SERVING_POLL_SECONDS:-10}
      --file_system_poll_wait_seconds=${SERVING_POLL_SECONDS:-10}
      ${SERVING_FLAGS:-}
    ports:
      - "${SERVING_ADDRESS:-127.0.0.1}:8500:8500"
      - "${SERVING_ADDRESS:-127.0.0.1}:8501:8501"
    volumes:
      - .:/models:ro
"""

_BATCHING = """\
# With these the server joins requests along the first dimension. Before it is turned on:
# - A request of several rows must then send every input: a default has one row, and in a request all inputs must have
#   the same number. A request of a single row may leave out what it likes.
# - A row asks for its own k; in an answer all rows have as many places as the largest k asked for together with it, and
#   those beyond a row's own k are "" with the score -inf.
# Our lists have the length that they were exported with, so nothing is padded:
pad_variable_length_inputs: false
# A request of more rows is refused. It is not cut up: parts with different k would have answers of different width.
enable_large_batch_splitting { value: false }
max_batch_size { value: 64 }
# How long a request waits for others, in microseconds.
batch_timeout_micros { value: 2000 }
# Batches that wait; beyond them requests are answered UNAVAILABLE.
max_enqueued_batches { value: 100 }
"""


def write_server_files(base: str | Path) -> list[str]:
    """Writes the files for all names in a folder, each whole or not at all.

    Args:
        base: the folder that holds the names.

    Returns:
        What people should know of files that were left as they are.
    """
    base, notes = Path(base), []
    with _locked(base):
        texts = {"models.config": models_config(base), "batching_parameters.txt": _BATCHING, "compose.yaml": _COMPOSE}
        for name, text in texts.items():
            path = base / name
            beside = path.with_name(f"{name}.new")
            if is_ours(path):
                _replace(path, text)
                beside.unlink(missing_ok=True)
            elif path.read_text(encoding="utf-8", errors="replace").strip() != text.strip():
                _replace(beside, text)
                notes.append(f"{path} has been edited and is left as it is; what would stand in it is in {beside.name}")
    return notes


def models_config(base: Path, mounted: str = "/models") -> str:
    """`models.config` for every name in a folder that has a version, as the server reads it.

    Args:
        base: the folder.
        mounted: where the server finds it.
    """
    config = model_server_config_pb2.ModelServerConfig()
    for folder in sorted(path for path in base.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if any(place.name.isdecimal() and (place / "saved_model.pb").exists() for place in folder.iterdir()):
            config.model_config_list.config.add(
                name=folder.name, base_path=f"{mounted}/{folder.name}", model_platform="tensorflow"
            )
    return text_format.MessageToString(config)


def is_ours(path: Path) -> bool:
    """Whether nothing stands there, or exactly what was written by `write_server_files`."""
    if not path.exists():
        return True
    first, _, rest = path.read_text(encoding="utf-8", errors="replace").partition("\n")
    return first == f"{_MARK}{_digest(rest)}"


def _replace(path: Path, text: str) -> None:
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{_MARK}{_digest(text)}\n{text}")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(made, 0o644)
        os.replace(made, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(made)
        raise


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def _locked(base: Path) -> Iterator[None]:
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
