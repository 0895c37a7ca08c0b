"""What a step of a two-tower model has made on its way to its loss, for tasks that share the towers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class StepCandidates:
    """The candidates that a step embeds, before the fusion.

    Attributes:
        features: preprocessed, feature -> tensors `[n, ...]`.
        embedded: what the encoders made of them, modality -> `vector [n, ...]` and `present [n]`.
        rows: int32 `[n]`, -1 for padding: the batch's different candidates, then those that were drawn. None where
            these are all candidates, in their order.
        log_expected: of the drawn ones, log of how often each is expected; None where none is drawn.
    """

    features: Mapping
    embedded: Mapping
    rows: tf.Tensor | None = None
    log_expected: tf.Tensor | None = None


@dataclass(frozen=True)
class Retrieval:
    """What a step's rows came to.

    Attributes:
        losses: float32 `[batch]`.
        query: `[batch, dim]`, the queries' vectors.
        own: `[batch, dim]`, the vectors of the rows' own candidates; None where a row has several targets.
    """

    losses: tf.Tensor
    query: tf.Tensor
    own: tf.Tensor | None
