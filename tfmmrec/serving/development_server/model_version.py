"""One version of a model in memory: its graph in a session, as TensorFlow Serving holds it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmmrec.search.scann_ops import register_ops
from tfmmrec.serving.described_model import read_extra
from tfmmrec.serving.development_server.request_error import RequestError, from_tensorflow


class ModelVersion:
    """A loaded version. It is closed when it has been retired and the last request that holds it has ended.

    Args:
        number: of the version.
        folder: with `saved_model.pb`.

    Raises:
        ValueError, OSError, tf.errors.OpError and others: the folder holds no model that can be loaded.
        UsageError: its index needs ScaNN, which is not installed.
    """

    def __init__(self, number: int, folder: str):
        import tensorflow_text  # noqa: F401  (the ops of pretrained text encoders; stock servers have them too)

        register_ops(_about(folder))
        self.number = number
        self.folder = folder
        self._lock = threading.Lock()
        self._num_held = 0
        self._is_retired = self._is_closed = False
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        try:
            with graph.as_default():
                loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], folder)
            self.signatures: Mapping[str, Any] = {
                name: signature for name, signature in loaded.signature_def.items() if not name.startswith("__")
            }
            if not self.signatures:
                raise ValueError(f"{folder}: has no signature")
            self._calls = {name: self._callable(signature) for name, signature in self.signatures.items()}
        except BaseException:
            self._session.close()
            raise

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs one signature.

        Args:
            name: of the signature.
            inputs: every input by name, in the signature's dtypes.

        Returns:
            Every output by name.

        Raises:
            RequestError: the graph does not take these values.
        """
        signature = self.signatures[name]
        try:
            found = self._calls[name](*(inputs[key] for key in sorted(signature.inputs)))
        except (tf.errors.OpError, ValueError, TypeError, RuntimeError) as error:
            raise from_tensorflow(error) from error
        return dict(zip(sorted(signature.outputs), found, strict=True))

    def hold(self) -> bool:
        """Keeps the version from being closed; False where it is too late. `release` gives it back."""
        with self._lock:
            if self._is_retired:
                return False
            self._num_held += 1
            return True

    def release(self) -> None:
        """The counterpart of `hold`."""
        with self._lock:
            self._num_held -= 1
        self._close_if_idle()

    def retire(self) -> None:
        """Takes no more requests; those under way are answered."""
        with self._lock:
            self._is_retired = True
        self._close_if_idle()

    @property
    def is_closed(self) -> bool:
        """Whether its memory has been given back."""
        return self._is_closed

    def _close_if_idle(self) -> None:
        with self._lock:
            if not self._is_retired or self._num_held or self._is_closed:
                return
            self._is_closed = True
        self._calls = {}
        self._session.close()

    def _callable(self, signature: Any) -> Callable[..., list[np.ndarray]]:
        # A callable feeds values as they are, where session.run would cast them; either refuses other shapes than the
        # signature's, which TensorFlow Serving leaves to the kernels.
        fetches = [signature.outputs[key].name for key in sorted(signature.outputs)]
        feeds = [signature.inputs[key].name for key in sorted(signature.inputs)]
        return self._session.make_callable(fetches, feed_list=feeds)


@contextlib.contextmanager
def held(version: ModelVersion) -> Iterator[ModelVersion]:
    """A version that has been held, for a block; it is released afterwards."""
    try:
        yield version
    finally:
        version.release()


def signature_of(version: ModelVersion, name: str) -> Any:
    """A signature by its name, "" for the default one.

    Raises:
        RequestError: there is none of that name; the words are those of gRPC.
    """
    name = name or "serving_default"
    if name not in version.signatures:
        raise RequestError("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
    return version.signatures[name]


def _about(folder: str) -> Mapping[str, Any]:
    """What an export says of itself; nothing of any other model."""
    try:
        about = read_extra(folder, "model.json")
    except (ValueError, OSError, tf.errors.OpError):
        return {}
    return about if isinstance(about, Mapping) else {}
