"""Where a training runs."""

from __future__ import annotations

from functools import cache

import tensorflow as tf

from tfmmrec.cluster import num_workers, read_cluster
from tfmmrec.types import UsageError


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """A `tf.distribute` strategy by name.

    Args:
        name: `cpu` (one device), `mirrored` (all GPUs; without any, all logical CPU devices), `multiworker` (the same
            on every process that `TF_CONFIG` names; to be made before TensorFlow has computed anything), or `auto`
            (multiworker where `TF_CONFIG` names two workers or more, mirrored with two GPUs or more, else the default
            device).

    Raises:
        UsageError: an unknown name; `multiworker` without a cluster, or too late.
    """
    if name == "multiworker" or (name == "auto" and num_workers(read_cluster()) > 1):
        return _multiworker()
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        return _mirrored(gpus) if len(gpus) > 1 else tf.distribute.get_strategy()
    if name == "cpu":
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    if name == "mirrored":
        return _mirrored(gpus or tf.config.list_logical_devices("CPU"))
    raise UsageError(f"strategy must be auto, cpu, mirrored or multiworker, got {name!r}")


def _mirrored(devices) -> tf.distribute.Strategy:
    return _mirrored_over(tuple(device.name for device in devices))


@cache  # a second one in a process would number its collective operations as the first did, and mix them up
def _mirrored_over(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(list(devices))


@cache
def _multiworker() -> tf.distribute.Strategy:
    if not num_workers(read_cluster()):
        raise UsageError(
            "strategy multiworker needs to know its cluster: set TF_CONFIG (see tfmmrec/cluster.py), or give "
            "--workers host1:port,host2:port and --worker-index"
        )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise UsageError(
            "strategy multiworker must be made before TensorFlow has computed anything in this process: call "
            f"tfmmrec.strategies.make_strategy('multiworker') first thing ({error})"
        ) from error
