"""Where a training runs."""

from __future__ import annotations

from functools import cache

import tensorflow as tf

from tfmmrec.types import UsageError


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """A `tf.distribute` strategy by name.

    Args:
        name: `cpu` (one device), `mirrored` (all GPUs; without any, all logical CPU devices), or `auto` (mirrored
            with two GPUs or more, else the default device).

    Raises:
        UsageError: an unknown name.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        return _mirrored(gpus) if len(gpus) > 1 else tf.distribute.get_strategy()
    if name == "cpu":
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    if name == "mirrored":
        return _mirrored(gpus or tf.config.list_logical_devices("CPU"))
    raise UsageError(f"strategy must be auto, cpu or mirrored, got {name!r}")


def _mirrored(devices) -> tf.distribute.Strategy:
    return _mirrored_over(tuple(device.name for device in devices))


@cache  # a second one in a process would number its collective operations as the first did, and mix them up
def _mirrored_over(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(list(devices))
