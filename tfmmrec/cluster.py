"""Which processes train together: `TF_CONFIG`, as TensorFlow's cluster resolver reads it.

    {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}

With parameter servers the cluster also has one `chief` and a list `ps`.
See "Distributed training with Keras", tensorflow.org/tutorials/distribute/multi_worker_with_keras.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from tfmmrec.types import UsageError

VARIABLE = "TF_CONFIG"
HELPER_SECONDS = 600.0
_LOG = logging.getLogger(__name__)
_EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


def read_cluster() -> dict[str, Any] | None:
    """What `TF_CONFIG` says; None where it is not set, or names no cluster.

    Raises:
        UsageError: it cannot be read, an address is none or comes twice, or its task is not in its cluster.
    """
    text = os.environ.get(VARIABLE, "")
    if not text.strip():
        return None
    try:
        found = json.loads(text)
        cluster, task = found.get("cluster") or {}, found.get("task") or {}
        if not cluster:
            return None
        kind, index = task["type"], int(task["index"])
        if not all(isinstance(listed, list) for listed in cluster.values()):
            raise TypeError("addresses must be a list")
        addresses = {job: [str(address) for address in listed] for job, listed in cluster.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{VARIABLE}: expected something like {_EXAMPLE}, got {text!r} ({error!r})") from None
    for job, listed in addresses.items():
        for address in listed:
            if not _is_address(address):
                raise UsageError(f"{VARIABLE}: addresses must be host:port, got {address!r} of type {job}")
    everybody = [address for listed in addresses.values() for address in listed]
    if len(set(everybody)) < len(everybody):
        raise UsageError(f"{VARIABLE}: every process needs an address of its own, got {', '.join(everybody)}")
    if not 0 <= index < len(addresses.get(kind, [])):
        held = ", ".join(f"{len(listed)} of type {job}" for job, listed in addresses.items())
        raise UsageError(f"{VARIABLE}: its task is number {index} of type {kind}, but its cluster has {held}")
    return {"cluster": addresses, "task": {"type": kind, "index": index}}


def num_workers(cluster: dict[str, Any] | None) -> int:
    """Processes that take steps together: the chief, if there is one, and the workers."""
    jobs = {} if cluster is None else cluster["cluster"]
    return len(jobs.get("chief", [])) + len(jobs.get("worker", []))


def worker_index_of(cluster: dict[str, Any] | None) -> int:
    """Which of these this process is, from 0, the chief first; 0 without a cluster."""
    if cluster is None or cluster["task"]["type"] == "chief":
        return 0
    return len(cluster["cluster"].get("chief", [])) + cluster["task"]["index"]


def has_servers(cluster: dict[str, Any] | None) -> bool:
    """Whether there are parameter servers."""
    return bool({} if cluster is None else cluster["cluster"].get("ps"))


def write_cluster(
    workers: Sequence[str], index: int | None, servers: Sequence[str] = (), server_index: int | None = None
) -> None:
    """Sets `TF_CONFIG` of this process.

    Args:
        workers: `host:port` of every worker, the same list in each process; the first is the chief, which with
            parameter servers only tells the others what to do.
        index: which of them this is, from 0; None for a parameter server.
        servers: `host:port` of every parameter server.
        server_index: which of them this is, from 0; None for a worker.

    Raises:
        UsageError: an address that is none, or comes twice; no such worker or server.
    """
    for address in (*workers, *servers):
        if not _is_address(address):
            what = "workers" if address in workers else "servers"
            raise UsageError(f"{what} must be host:port, separated by commas, got {address!r}")
    if len({*workers, *servers}) < len(workers) + len(servers):
        what = "process" if servers else "worker"
        raise UsageError(f"every {what} needs an address of its own, got {', '.join([*workers, *servers])}")
    if server_index is not None and not 0 <= server_index < len(servers):
        raise UsageError(f"this server's index must lie in 0 to {len(servers) - 1}, got {server_index}")
    if server_index is None and not 0 <= index < len(workers):
        raise UsageError(f"this worker's index must lie in 0 to {len(workers) - 1}, got {index}")
    jobs, task = {"worker": list(workers)}, {"type": "worker", "index": index}
    if servers:
        if len(workers) < 2:
            raise UsageError(f"beside servers there must be two workers or more, the first tells the others: {workers}")
        jobs = {"chief": [workers[0]], "worker": list(workers[1:]), "ps": list(servers)}
        if server_index is not None:
            task = {"type": "ps", "index": server_index}
        else:
            task = {"type": "worker", "index": index - 1} if index else {"type": "chief", "index": 0}
    os.environ[VARIABLE] = json.dumps({"cluster": jobs, "task": task})


def check_free(cluster: dict[str, Any]) -> None:
    """Refuses to begin where another process listens on this one's port.

    Raises:
        UsageError: it names the address.
    """
    task = cluster["task"]
    address = cluster["cluster"][task["type"]][task["index"]]
    try:
        socket.create_server(("", int(address.rpartition(":")[2]))).close()  # on all addresses, as TensorFlow does
    except OSError as error:
        raise UsageError(
            f"{address} is to be this process's own, but its port cannot be had: {os.strerror(error.errno)}. End what "
            "listens there (a process of an earlier training?), or give all processes another address for this one"
        ) from None


def wait_for_helpers(cluster: dict[str, Any], seconds: float = HELPER_SECONDS, silent_seconds: float = 10.0) -> None:
    """Until all workers and parameter servers answer the chief; TensorFlow would wait for them without a word.

    Args:
        cluster: as `read_cluster` gives it.
        seconds: how long.
        silent_seconds: after so many it is told who is missing.

    Raises:
        RuntimeError: some did not answer.
    """
    import grpc

    named = {f"worker {place + 1} ({address})": address for place, address in enumerate(cluster["cluster"]["worker"])}
    named |= {f"server {place} ({address})": address for place, address in enumerate(cluster["cluster"]["ps"])}
    channels = {name: grpc.insecure_channel(to, [("grpc.enable_http_proxy", 0)]) for name, to in named.items()}
    futures = {name: grpc.channel_ready_future(channel) for name, channel in channels.items()}
    start, told = time.monotonic(), False
    try:
        while missing := ", ".join(name for name, future in futures.items() if not future.done()):
            passed = time.monotonic() - start
            if passed > seconds:
                raise RuntimeError(
                    f"no answer from {missing} within {seconds:.0f} seconds: start it with the same --workers and "
                    "--servers (or TF_CONFIG), see what it said if it has ended, and whether a firewall is between"
                )
            if passed > silent_seconds and not told:
                _LOG.warning("worker 0 waits for %s", missing)
                told = True
            time.sleep(0.05)
    finally:
        for name, channel in channels.items():
            futures[name].cancel()
            channel.close()


def wait_for_workers(cluster: dict[str, Any], seconds: float = HELPER_SECONDS, silent_seconds: float = 10.0) -> None:
    """Until all workers that step together have come to this; TensorFlow would wait without a word, deaf to SIGTERM.

    Each listens at its own address meanwhile, where TensorFlow will listen next.

    Args:
        cluster: as `read_cluster` gives it.
        seconds: how long.
        silent_seconds: after so many it is told who is missing.

    Raises:
        UsageError: another process has this one's port.
        RuntimeError: some did not come.
    """
    check_free(cluster)
    addresses = [address for job in ("chief", "worker") for address in cluster["cluster"].get(job, [])]
    own = worker_index_of(cluster)
    missing = {place: address for place, address in enumerate(addresses) if place != own}
    start, told = time.monotonic(), False
    with socket.create_server(("", int(addresses[own].rpartition(":")[2]))):
        while missing := {place: address for place, address in missing.items() if not answers(address)}:
            passed, named = time.monotonic() - start, ", ".join(f"worker {p} ({a})" for p, a in missing.items())
            if passed > seconds:
                raise RuntimeError(
                    f"no answer from {named} within {seconds:.0f} seconds: start it with the same --workers (or "
                    "TF_CONFIG), see what it said if it has ended, and whether a firewall is between"
                )
            if passed > silent_seconds and not told:
                _LOG.warning("worker %d waits for %s", own, named)
                told = True
            time.sleep(0.1)


def answers(address: str) -> bool:
    """Whether somebody listens at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5.0):
            return True
    except OSError:
        return False


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdigit() and 0 < int(port) < 65_536
