"""Which processes train together: `TF_CONFIG`, as TensorFlow's cluster resolver reads it.

    {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}

With parameter servers the cluster also has one `chief` and a list `ps`.
See "Distributed training with Keras", tensorflow.org/tutorials/distribute/multi_worker_with_keras.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from tfmmrec.types import UsageError

VARIABLE = "TF_CONFIG"
_EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


def read_cluster() -> dict[str, Any] | None:
    """What `TF_CONFIG` says; None where it is not set, or names no cluster.

    Raises:
        UsageError: it cannot be read, or its task is not in its cluster.
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
        addresses = {job: [str(address) for address in listed] for job, listed in cluster.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{VARIABLE}: expected something like {_EXAMPLE}, got {text!r} ({error!r})") from None
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
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
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
