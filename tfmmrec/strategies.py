"""Where a training runs."""

from __future__ import annotations

import os
from functools import cache

import tensorflow as tf

from tfmmrec.cluster import (
    check_free,
    has_servers,
    num_workers,
    read_cluster,
    wait_for_helpers,
    wait_for_workers,
)
from tfmmrec.types import UsageError

SHARD_BYTES = 256 * 1024


def make_strategy(name: str = "auto", shard_bytes: int = SHARD_BYTES) -> tf.distribute.Strategy:
    """A `tf.distribute` strategy by name.

    Args:
        name: `cpu` (one device), `mirrored` (all GPUs; without any, all logical CPU devices), `multiworker` (the same
            on every process that `TF_CONFIG` names; to be made before TensorFlow has computed anything),
            `parameter_server` (the chief of a cluster with parameter servers makes it, at the same time; each worker
            takes steps by itself, and matrices are cut up by rows over the servers), or `auto` (parameter_server where
            `TF_CONFIG` names parameter servers, multiworker where it names two workers or more, mirrored with two GPUs
            or more, else the default device), `tpu` (all cores of the TPU of this machine, a TPU VM; never run on
            one so far).
        shard_bytes: a matrix of no more bytes is not cut up.

    Raises:
        UsageError: an unknown name; `multiworker` or `parameter_server` without such a cluster, or too late;
            `tpu` without a TPU.
    """
    if uses_servers(name):
        return _parameter_server(shard_bytes)
    if name == "multiworker" or (name == "auto" and num_workers(read_cluster()) > 1):
        return _multiworker()
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        return _mirrored(gpus) if len(gpus) > 1 else tf.distribute.get_strategy()
    if name == "cpu":
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    if name == "mirrored":
        return _mirrored(gpus or tf.config.list_logical_devices("CPU"))
    if name == "tpu":
        return _tpu()
    raise UsageError(f"strategy must be auto, cpu, mirrored, multiworker, parameter_server or tpu, got {name!r}")


def uses_servers(name: str) -> bool:
    """Whether the strategy of this name has parameter servers."""
    return name == "parameter_server" or (name == "auto" and has_servers(read_cluster()))


def is_helper(name: str) -> bool:
    """Whether this process only does what the chief of a strategy of this name tells it, see `serve`.

    Raises:
        UsageError: the strategy has parameter servers, and `TF_CONFIG` does not name chief, workers and servers.
    """
    return uses_servers(name) and _full_cluster()["task"]["type"] != "chief"


def _full_cluster() -> dict:
    cluster = read_cluster()
    jobs = {} if cluster is None else {job: listed for job, listed in cluster["cluster"].items() if listed}
    if set(jobs) != {"chief", "worker", "ps"} or len(jobs["chief"]) > 1:
        raise UsageError(
            "strategy parameter_server needs to know its cluster: set TF_CONFIG with one chief, workers and ps, and "
            "nothing else (see tfmmrec/cluster.py), or give --workers host1:port,host2:port and --servers host3:port, "
            f"and --worker-index or --server-index; got {_counted(jobs)}"
        )
    return cluster


def _counted(jobs: dict) -> str:
    return ", ".join(f"{len(listed)} of type {job}" for job, listed in jobs.items()) or "no cluster"


def _mirrored(devices) -> tf.distribute.Strategy:
    return _mirrored_over(tuple(device.name for device in devices))


@cache  # a second one in a process would number its collective operations as the first did, and mix them up
def _mirrored_over(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(list(devices))


@cache
def _multiworker() -> tf.distribute.Strategy:
    cluster = read_cluster()
    if not num_workers(cluster):
        raise UsageError(
            "strategy multiworker needs to know its cluster: set TF_CONFIG (see tfmmrec/cluster.py), or give "
            "--workers host1:port,host2:port and --worker-index"
        )
    wait_for_workers(cluster)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise UsageError(
            "strategy multiworker must be made before TensorFlow has computed anything in this process: call "
            f"tfmmrec.strategies.make_strategy('multiworker') first thing ({error})"
        ) from error


def on_tpu(strategy: tf.distribute.Strategy) -> bool:
    """Whether steps under a strategy are compiled for a TPU."""
    return isinstance(strategy, tf.distribute.TPUStrategy)


@cache
def _tpu() -> tf.distribute.Strategy:
    """Of this machine's TPU alone: Python makes the batches in this process, which a remote TPU's host does not run."""
    name = os.environ.get("TPU_NAME", "local")
    if name != "local":
        raise UsageError(
            f"strategy tpu trains on the TPU of the machine it runs on, since batches are made there, but TPU_NAME is "
            f"{name!r}: start the training on the TPU VM itself, with TPU_NAME=local or without it"
        )
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(
            "strategy tpu found no TPU on this machine: start it on a TPU VM, with the TensorFlow build for TPUs, or "
            f"take another strategy (TensorFlow says: {said})"
        ) from error


@cache
def _parameter_server(shard_bytes: int) -> tf.distribute.Strategy:
    cluster = _full_cluster()
    check_free(cluster)
    wait_for_helpers(cluster)
    num_servers = len(cluster["cluster"]["ps"])
    sized = tf.distribute.experimental.partitioners.MinSizePartitioner(shard_bytes, num_servers)
    try:
        strategy = tf.distribute.ParameterServerStrategy(
            tf.distribute.cluster_resolver.TFConfigClusterResolver(),
            lambda shape, dtype: sized(shape, dtype) if len(shape) == 2 else [1] * len(shape),
        )
    except RuntimeError as error:
        raise UsageError(
            "strategy parameter_server must be made before TensorFlow has computed anything in this process: call "
            f"tfmmrec.strategies.make_strategy('parameter_server') first thing ({error})"
        ) from error
    if strategy.num_replicas_in_sync > 1:
        raise UsageError(
            f"a worker takes one GPU beside parameter servers, found {strategy.num_replicas_in_sync}: start a worker "
            "for each, with CUDA_VISIBLE_DEVICES"
        )
    return strategy
