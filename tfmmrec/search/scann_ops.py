"""The operations of ScaNN (Guo et al. 2020), which the package scann brings, and servers that are built with them.

Everything that builds, saves or loads an index of kind `scann` needs them; nothing else here does.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import tensorflow as tf

from tfmmrec.types import UsageError

NAMESPACE = "Scann"
"""Of the operations; TensorFlow saves those alone whose namespace it is told to allow."""

INSTALL = "pip install 'tfmmrec[scann]'"


def save_options(index: Mapping[str, Any]) -> tf.saved_model.SaveOptions | None:
    """What `tf.saved_model.save` must be given for an index, by its description (`build_index`)."""
    return tf.saved_model.SaveOptions(namespace_whitelist=[NAMESPACE]) if index.get("kind") == "scann" else None


def register_ops(about: Mapping[str, Any]) -> None:
    """Before an export is loaded: makes TensorFlow know the operations that its index needs.

    Args:
        about: the content of its `model.json`.

    Raises:
        UsageError: as `scann_ops`.
    """
    if (about.get("index") or {}).get("kind") == "scann":
        scann_ops()


def scann_ops() -> ModuleType:
    """The module with the operations; TensorFlow knows them from then on.

    Raises:
        UsageError: scann is not installed, or not the one for this TensorFlow.
    """
    try:
        return importlib.import_module("scann.scann_ops.py.scann_ops")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"an index of kind scann needs the package scann ({INSTALL}), and a TensorFlow Serving that is built with "
            f"its operations; ivf needs neither ({error})"
        ) from error
    except (ImportError, OSError, tf.errors.OpError) as error:
        message = f"scann is installed, but does not fit this TensorFlow ({INSTALL} brings one that does): {error}"
        raise UsageError(message) from error
