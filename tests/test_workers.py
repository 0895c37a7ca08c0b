"""One process alone; `tests/test_training_workers.py` has several."""

import json
import socket
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tfmmrec.workers import Workers


def test_one_process_is_the_chief_and_agrees_with_itself():
    workers = Workers(tf.distribute.get_strategy())
    assert (workers.number, workers.index, workers.is_chief) == (1, 0, True)
    np.testing.assert_array_equal(workers.agree([0.1, np.nan]), [0.1, np.nan])
    variable = tf.Variable([1.0, 2.0])
    workers.synchronise([variable])
    workers.wait()
    np.testing.assert_array_equal(variable, [1.0, 2.0])


def test_what_tensorflow_says_of_a_lost_worker_is_told():
    workers = Workers(tf.distribute.get_strategy())
    workers.number = 2
    message = "Graph execution error:\n\nDetected at node 'x' defined at\n\nsocket closed\n [[{{node x}}]]"
    with pytest.raises(RuntimeError, match="another worker is gone.* TensorFlow says: socket closed$"):
        with workers.together():
            raise tf.errors.UnavailableError(None, None, message)
    with pytest.raises(RuntimeError, match="TensorFlow says: UnavailableError$"), workers.together():
        raise tf.errors.UnavailableError(None, None, "")


def test_an_error_of_one_process_alone_is_its_own():
    with pytest.raises(tf.errors.UnavailableError), Workers(tf.distribute.get_strategy()).together():
        raise tf.errors.UnavailableError(None, None, "gone")


def free_ports(number: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def test_two_processes_have_what_the_first_has():
    code = """
        import sys
        import tfmmrec
        import tensorflow as tf
        from tfmmrec.cluster import write_cluster
        from tfmmrec.strategies import make_strategy
        from tfmmrec.workers import Workers

        index = int(sys.argv[1])
        write_cluster(sys.argv[2:], index)
        workers = Workers(make_strategy("auto"))
        with workers.strategy.scope():
            number = tf.Variable(float(index + 1) * 1.5)
            count = tf.Variable(index + 7, dtype=tf.int64)
        number.assign(float(index + 1) * 1.5)
        count.assign(index + 7)
        told = workers.agree([index + 0.1, index + 40]).tolist()
        before = float(tf.convert_to_tensor(number))
        workers.synchronise([number, count])
        workers.wait()
        after = [tf.convert_to_tensor(variable).numpy().item() for variable in (number, count)]
        print(workers.number, workers.index, told, before, *after)
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    command = [sys.executable, "-c", textwrap.dedent(code)]
    started = [
        subprocess.Popen([*command, str(index), *addresses], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for index in range(2)
    ]
    answers = [process.communicate(timeout=240) for process in started]
    said = [output.decode().strip() for output, _ in answers]
    assert said == ["2 0 [0.1, 40.0] 1.5 1.5 7", "2 1 [0.1, 40.0] 3.0 1.5 7"], json.dumps(
        [error.decode()[-800:] for _, error in answers]
    )
