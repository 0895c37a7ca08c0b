"""Keeps TensorFlow's and CUDA's log away from people who asked for a recommendation.

Only the command line does this; importing the library changes no log level. Whoever sets TF_CPP_MIN_LOG_LEVEL to 0 or 1
themselves gets the log; 2 and 3, which ask for errors alone, count for its Python side too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_ERRORS_ALONE = ("2", "3")


def import_tensorflow() -> None:
    """Imports TensorFlow and finds its devices without a word, unless TF_CPP_MIN_LOG_LEVEL asks for more than errors.

    Raises:
        ImportError: whatever TensorFlow's import raises; what it wrote meanwhile is shown then.
    """
    if "tensorflow" in sys.modules or os.environ.setdefault(_LEVEL, "3") not in _ERRORS_ALONE:
        return
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    with _standard_error_held():
        import tensorflow as tf

        tf.config.list_physical_devices()  # where a machine without a GPU complains about CUDA
    tf.get_logger().setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)


def open_session_quietly() -> None:
    """Opens and closes a session: a process's first one tells on standard error which compiler passes are off."""
    import tensorflow as tf

    with _standard_error_held(), tf.Graph().as_default(), tf.compat.v1.Session() as session:
        session.run(tf.constant(0))


@contextlib.contextmanager
def _standard_error_held() -> Iterator[None]:
    # The C++ side writes to the file descriptor, some of it before its log level counts.
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError):  # no standard error at all: nothing to keep quiet
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            with contextlib.suppress(AttributeError):
                sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
