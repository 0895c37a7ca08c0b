import json
import socket
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tfmmrec.cluster import (
    answers,
    check_free,
    has_servers,
    num_workers,
    read_cluster,
    wait_for_helpers,
    wait_for_workers,
    worker_index_of,
    write_cluster,
)
from tfmmrec.types import UsageError

TWO = {"worker": ["one:1", "two:2"]}


@pytest.fixture
def config(monkeypatch):
    """`config(text or object)`: sets TF_CONFIG; None takes it away."""

    def set_to(value):
        monkeypatch.setenv("TF_CONFIG", "")  # so that what a test writes there is taken away after it
        monkeypatch.delenv("TF_CONFIG")
        if value is not None:
            monkeypatch.setenv("TF_CONFIG", value if isinstance(value, str) else json.dumps(value))

    return set_to


@pytest.mark.parametrize("value", [None, "", "  ", {}, {"cluster": {}}, {"task": {"type": "worker", "index": 0}}])
def test_without_a_cluster_there_is_one_process(config, value):
    config(value)
    assert read_cluster() is None and num_workers(None) == 0 and worker_index_of(None) == 0


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "number", "place"),
    [
        (TWO, "worker", 0, 2, 0),
        (TWO, "worker", "1", 2, 1),  # some schedulers write the index as a string
        (TWO | {"chief": ["zero:9"]}, "chief", 0, 3, 0),
        (TWO | {"chief": ["zero:9"]}, "worker", 1, 3, 2),
        (TWO | {"ps": ["three:3"]}, "worker", 1, 2, 1),
    ],
)
def test_who_takes_part_and_which_this_is(config, cluster, kind, index, number, place):
    config({"cluster": cluster, "task": {"type": kind, "index": index}})
    found = read_cluster()
    assert found == {"cluster": cluster, "task": {"type": kind, "index": int(index)}}
    assert (num_workers(found), worker_index_of(found)) == (number, place)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{", "TF_CONFIG: expected something like .*, got '{'"),
        ({"cluster": TWO}, "TF_CONFIG: expected something like .*KeyError"),
        ({"cluster": TWO, "task": {"type": "worker", "index": "x"}}, "TF_CONFIG: expected something like"),
        ({"cluster": {"worker": "one:1"}, "task": {"type": "worker", "index": 0}}, "TF_CONFIG: expected .* be a list"),
        (
            {"cluster": {"chief": ["a:1"], "ps": ["one"]}, "task": {"type": "chief", "index": 0}},
            "TF_CONFIG: addresses must be host:port, got 'one' of type ps",
        ),
        (
            {"cluster": {"worker": ["a:1"], "ps": ["a:1"]}, "task": {"type": "ps", "index": 0}},
            "TF_CONFIG: every process needs an address of its own, got a:1, a:1",
        ),
        ({"cluster": ["one:1"], "task": {"type": "worker", "index": 0}}, "TF_CONFIG: expected something like"),
        (
            {"cluster": TWO, "task": {"type": "worker", "index": 2}},
            "its task is number 2 of type worker, but its cluster has 2 of type worker",
        ),
        ({"cluster": TWO, "task": {"type": "ps", "index": 0}}, "its task is number 0 of type ps"),
    ],
)
def test_what_cannot_be_read_is_refused(config, value, told):
    config(value)
    with pytest.raises(UsageError, match=told):
        read_cluster()


def test_what_is_written_is_read(config):
    config(None)
    write_cluster(["10.0.0.1:2222", "10.0.0.2:2222"], 1)
    expected = {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 1}}
    assert read_cluster() == expected


@pytest.mark.parametrize(
    ("index", "server_index", "task"),
    [
        (0, None, {"type": "chief", "index": 0}),
        (2, None, {"type": "worker", "index": 1}),
        (None, 1, {"type": "ps", "index": 1}),
    ],
)
def test_beside_servers_the_first_worker_is_the_chief(config, index, server_index, task):
    config(None)
    write_cluster(["a:1", "b:2", "c:3"], index, ["d:4", "e:5"], server_index)
    jobs = {"chief": ["a:1"], "worker": ["b:2", "c:3"], "ps": ["d:4", "e:5"]}
    assert read_cluster() == {"cluster": jobs, "task": task} and has_servers(read_cluster())
    assert not has_servers(None) and not has_servers({"cluster": TWO, "task": task})


@pytest.mark.parametrize(
    ("workers", "servers", "told"),
    [
        (["a:1", "b:2"], ["c"], "servers must be host:port, separated by commas, got 'c'"),
        (["a:1", "b:2"], ["b:2"], "every process needs an address of its own, got a:1, b:2, b:2"),
        (["a:1"], ["b:2"], "beside servers there must be two workers or more"),
    ],
)
def test_servers_that_cannot_be(config, workers, servers, told):
    config(None)
    with pytest.raises(UsageError, match=told):
        write_cluster(workers, 0, servers)
    assert read_cluster() is None


@pytest.mark.parametrize(
    ("workers", "index", "told"),
    [
        (["one"], 0, "workers must be host:port, separated by commas, got 'one'"),
        (["one:99999"], 0, "got 'one:99999'"),
        ([":1"], 0, "got ':1'"),
        (["one:1", "one:1"], 0, "every worker needs an address of its own, got one:1, one:1"),
        (["one:1", "two:1"], 2, "this worker's index must lie in 0 to 1, got 2"),
        (["one:1"], -1, "must lie in 0 to 0, got -1"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(config, workers, index, told):
    config(None)
    with pytest.raises(UsageError, match=told):
        write_cluster(workers, index)
    assert read_cluster() is None


def test_a_port_that_another_process_has():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        cluster = {"cluster": {"chief": ["a:1"], "ps": ["b:2", address]}, "task": {"type": "ps", "index": 1}}
        with pytest.raises(UsageError, match=f"{address} is to be this process's own, but its port cannot be had: "):
            check_free(cluster)
    check_free(cluster)


def test_the_chief_says_whom_it_waits_for(caplog):
    """Who listens but speaks no gRPC, such as another program on a server's port, has not answered either."""
    helper = grpc.server(ThreadPoolExecutor(1))
    there = f"127.0.0.1:{helper.add_insecure_port('127.0.0.1:0')}"
    helper.start()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        other = f"127.0.0.1:{mute.getsockname()[1]}"
        cluster = {"chief": ["a:1"], "worker": [there], "ps": [there, other]}
        with pytest.raises(RuntimeError, match=f"^no answer from server 1 .{other}. within 1 seconds: start it"):
            wait_for_helpers({"cluster": cluster}, seconds=1.0, silent_seconds=0.5)
    assert caplog.messages == [f"worker 0 waits for server 1 ({other})"]
    wait_for_helpers({"cluster": cluster | {"ps": [there]}}, silent_seconds=0.0)
    helper.stop(None)


def _three():
    """Clusters of three workers on this machine, as each of them sees it."""
    ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    addresses = [f"127.0.0.1:{port.getsockname()[1]}" for port in ports]
    for port in ports:
        port.close()
    return addresses, [
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}} for index in range(3)
    ]


def test_workers_wait_for_each_other():
    addresses, clusters = _three()
    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(wait_for_workers, cluster, 30.0) for cluster in clusters[:2]]
        with pytest.raises(TimeoutError):
            waits[0].result(timeout=0.5)
        assert answers(addresses[1])
        wait_for_workers(clusters[2], 30.0)
        with socket.create_server(("127.0.0.1", int(addresses[2].rpartition(":")[2]))):  # TensorFlow's turn
            assert [wait.result(timeout=30) for wait in waits] == [None, None]


def test_a_worker_says_whom_it_waits_for(caplog):
    addresses, clusters = _three()
    with socket.create_server(("127.0.0.1", int(addresses[2].rpartition(":")[2]))):
        with pytest.raises(RuntimeError, match=f"^no answer from worker 0 .{addresses[0]}. within 0 seconds: start it"):
            wait_for_workers(clusters[1], 0.4, silent_seconds=0.1)
        assert caplog.messages == [f"worker 1 waits for worker 0 ({addresses[0]})"]
        with pytest.raises(UsageError, match="its port cannot be had"):
            wait_for_workers(clusters[2], 0.4)
