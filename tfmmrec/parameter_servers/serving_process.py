"""What a worker or a parameter server does: it serves TensorFlow until the chief is done."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfmmrec.cluster import answers, check_free
from tfmmrec.runs import read_config
from tfmmrec.types import DataError

POLL_SECONDS = 0.5
PATIENCE = 6  # polls in a row without an answer, after which the chief is gone
CHIEF_SECONDS = 600.0
SILENT_SECONDS = 10.0  # after which it is told that the chief is waited for
_LOG = logging.getLogger(__name__)


def serve(cluster: Mapping[str, Any], run: Path, chief_seconds: float = CHIEF_SECONDS) -> None:
    """Runs a `tf.distribute.Server` as long as the chief lives.

    The chief has a port of its own in the cluster, which it opens first thing and which the system closes when it ends,
    however it does. What it has left behind tells whether it was done.

    Args:
        cluster: as `read_cluster` gives it.
        run: the run's folder, on a file system that the chief sees too.
        chief_seconds: how long the chief is waited for in the beginning.

    Raises:
        UsageError: another process has this one's port.
        RuntimeError: the chief did not come, or is gone and the run has not finished.
    """
    check_free(cluster)
    kind, index = cluster["task"]["type"], cluster["task"]["index"]
    config = tf.compat.v1.ConfigProto(device_count={"GPU": 0}) if kind == "ps" else None
    server = tf.distribute.Server(tf.train.ClusterSpec(cluster["cluster"]), kind, index, "grpc", config)
    wait_for(cluster["cluster"]["chief"][0], chief_seconds)
    del server
    if not _is_finished(run):
        raise RuntimeError(
            "the chief is gone and the run has not finished: see what it said last. If it refused to begin, mend that; "
            "else start all of them again, with --resume (resume=True)"
        )


def wait_for(chief: str, chief_seconds: float) -> None:
    """Until the chief, at `host:port`, has come and has gone.

    Raises:
        RuntimeError: it has not come within `chief_seconds`.
    """
    start, told = time.monotonic(), False
    while not answers(chief):
        passed = time.monotonic() - start
        if passed > SILENT_SECONDS and not told:
            _LOG.warning("waits for the chief at %s", chief)
            told = True
        if passed > chief_seconds:
            raise RuntimeError(
                f"no chief came to {chief} within {chief_seconds:.0f} seconds: start it with the same --workers and "
                "--servers, and --worker-index 0 (or TF_CONFIG), or see what it said if it has ended"
            )
        time.sleep(POLL_SECONDS)
    missed = 0
    while missed < PATIENCE:
        time.sleep(POLL_SECONDS)
        missed = 0 if answers(chief) else missed + 1


def _is_finished(run: Path) -> bool:
    try:
        return read_config(run).finished
    except DataError:
        return False
