"""Graphs of loaded models run as they were saved, for tests that ask each of them once or twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _graphs_as_saved() -> Iterator[None]:
    """TensorFlow rewrites a graph before it runs first, which takes four times as long as such a graph itself.

    Processes of their own, as of the conformance tests of served models, have graphs rewritten as servers do.
    """
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
