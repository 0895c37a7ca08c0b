"""Weights from a model in one process to one on parameter servers, and back, by a checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf


def begin_with(plain: tf.keras.Model, model: tf.keras.Model, folder: Path) -> None:
    """Gives a model whose tables are cut up the weights of the same model in this process.

    A checkpoint knows a table in parts as one; nothing else in Keras does.

    Args:
        plain: with the weights.
        model: the same, on the servers.
        folder: for the checkpoint, which is taken away again; where all processes see it.
    """
    tf.train.Checkpoint(model=plain).write(str(folder / "weights"))
    status = tf.train.Checkpoint(model=model).read(str(folder / "weights"))
    status.assert_existing_objects_matched().expect_partial()  # a compiled model has an optimizer
    shutil.rmtree(folder)


def plain_copy(model: tf.keras.Model, build: Callable[[], tf.keras.Model], folder: Path) -> tf.keras.Model:
    """The same model in this process, with its weights from the servers.

    Args:
        model: on the servers, which write their parts themselves.
        build: makes it, outside of the strategy's scope.
        folder: as `begin_with` has it.
    """
    plain = build()
    begin_with(model, plain, folder)
    return plain
