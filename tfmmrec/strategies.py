"""Where a training runs."""

from __future__ import annotations

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
        return tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()
    if name == "cpu":
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    if name == "mirrored":
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    raise UsageError(f"strategy must be auto, cpu or mirrored, got {name!r}")
