"""Which processes train together: `TF_CONFIG`, as TensorFlow's cluster resolver reads it.

    {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}

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


def write_cluster(workers: Sequence[str], index: int) -> None:
    """Sets `TF_CONFIG` of this process.

    Args:
        workers: `host:port` of every worker, the same list in each of them; the first is the chief.
        index: which of them this is, from 0.

    Raises:
        UsageError: an address that is none, or comes twice; no such worker.
    """
    for address in workers:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise UsageError(f"workers must be host:port, separated by commas, got {address!r}")
    if len(set(workers)) < len(workers):
        raise UsageError(f"every worker needs an address of its own, got {', '.join(workers)}")
    if not 0 <= index < len(workers):
        raise UsageError(f"this worker's index must lie in 0 to {len(workers) - 1}, got {index}")
    os.environ[VARIABLE] = json.dumps(
        {"cluster": {"worker": list(workers)}, "task": {"type": "worker", "index": index}}
    )
