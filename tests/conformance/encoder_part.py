"""A row of the list of encoders: how one is made, and what it takes as input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class EncoderPart:
    """One encoder.

    Attributes:
        name: of the row.
        make: folder for the files it needs -> a new encoder.
        given: raw values that are there, one a row; together they reach every weight.
        missing: raw values that all mean that there is none.
        raw_dtype: of the raw batch.
        frozen: it has weights that must not be trained.
        strings: tensors of `preprocess` that are strings, all others being numbers.
    """

    name: str
    make: Callable[[Path], Any]
    given: Sequence[Any]
    missing: Sequence[Any]
    raw_dtype: tf.DType = tf.string
    frozen: bool = False
    strings: tuple[str, ...] = ()

    @property
    def rows(self) -> list[Any]:
        """Raw values, missing ones among those that are there."""
        return [self.given[0], self.missing[0], *self.given[1:], *self.missing[1:]]

    def inputs(self, encoder, rows: Sequence[Any]) -> dict[str, tf.Tensor]:
        """What `call` takes, for raw values."""
        return encoder.preprocess(tf.constant(rows, self.raw_dtype))


class HistoryPart(EncoderPart):
    """The history has no raw values of its own: the model gives it rows of the candidates' table."""

    table = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)

    def inputs(self, encoder, rows: Sequence[Any]) -> dict[str, tf.Tensor]:
        return {"rows": tf.constant(rows, tf.int32), "table": tf.constant(self.table)}
