"""What all tests share: Keras 2, a quiet TensorFlow, four logical CPUs for replicas, no network."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest  # noqa: E402

import tfmmrec  # noqa: E402, F401  (before TensorFlow, which the test modules import)

ROOT = Path(__file__).parents[1]
NUM_LOGICAL_CPUS = 4
FIRST = (
    "tests/test_training_killed.py",
    "tests/test_training_parameter_servers.py",
    "tests/test_training_workers.py",
    "tests/conformance/test_serving_signatures.py",
    "tests/conformance/test_serving_ranking.py",
    "tests/colab/test_notebooks.py",
    "tests/conformance/test_models_learn.py",
    "tests/conformance/test_models_training.py",
    "tests/conformance/test_models_replicas.py",
    "tests/conformance/test_serving_index_kinds.py",
    "tests/serving/test_refresh.py",
)
"""Files of minutes: begun first, none is what one process still does when the others have done everything."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--until", type=float, metavar="SECONDS", help="seconds since 1970 after which no test begins")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where a run must not take longer, what is left is skipped, and counted as such."""
    until = item.config.getoption("--until")
    if until is not None and time.time() > until:
        pytest.skip("the run's time was up")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    place = {ROOT / name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Splits the CPU before any test starts TensorFlow's runtime, after which it cannot be split."""
    if "tensorflow" in sys.modules:
        _split_cpu()
    gc.set_threshold(20_000, 20, 20)  # a traced graph is some 100,000 objects
    _forget_garbage()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """A module's graphs, which refer to each other, go with it, not gigabytes later."""
    yield
    if nextitem is None or nextitem.path != item.path:
        _forget_garbage()


def _forget_garbage() -> None:
    """Frees what only refers to itself, and looks no more at what is left, such as all modules of TensorFlow."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _store_of_the_tests(tmp_path_factory) -> None:
    """Vectors of pretrained encoders go nowhere else, and come from nowhere else."""
    os.environ["TFMMREC_STORE"] = str(tmp_path_factory.mktemp("store"))


@pytest.fixture
def replicas() -> Callable[[int], object]:
    """`replicas(n)`: a MirroredStrategy over n logical CPUs, n up to 4."""
    _split_cpu()
    import tensorflow as tf

    def make(num_replicas: int):
        devices = [f"CPU:{index}" for index in range(num_replicas)]
        # collective ops, the default, refuse a second group of another size in one process
        return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())

    return make


@pytest.fixture
def deterministic() -> Iterator[None]:
    """The same numbers to the last digit, as by `deterministic` of the training options; off again after the test."""
    import tensorflow as tf
    from tensorflow.python.framework.config import disable_op_determinism

    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess]:
    """`run_python("code", VARIABLE="value")`: runs code in a fresh interpreter; None unsets a variable."""

    def run(code: str, **variables: str | None) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        environment = {name: value for name, value in environment.items() if value is not None}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)

    return run


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def connect_to_this_machine(self: socket.socket, address) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test must not reach the network, but it connects to {address[0]!r}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_to_this_machine)


def _split_cpu() -> None:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    if tf.config.get_logical_device_configuration(cpu) is None:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(NUM_LOGICAL_CPUS)]
        )
