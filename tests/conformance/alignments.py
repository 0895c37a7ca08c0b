"""Every alignment, listed once. `test_alignments` holds each row to every property."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tests.conformance.parts import embedded
from tfmmrec.alignment import AdversarialAlignment, ContrastiveAlignment, ModalityConversion, SubspaceAlignment


@dataclass(frozen=True)
class AlignmentPart:
    """One alignment.

    Attributes:
        name: of the row.
        make: -> a new alignment.
        changes: it gives the fusion other vectors than it got.
        min_rows: the fewest rows that have a loss.
    """

    name: str
    make: Callable[[], Any]
    changes: bool = False
    min_rows: int = 1


ALIGNMENTS: list[AlignmentPart] = [
    AlignmentPart("subspace", lambda: SubspaceAlignment(2), changes=True),
    AlignmentPart("subspace of unchanged vectors", lambda: SubspaceAlignment(3, 0.5, replace=False)),
    AlignmentPart("contrastive", lambda: ContrastiveAlignment(3), min_rows=2),
    AlignmentPart("contrastive of some rows", lambda: ContrastiveAlignment(3, max_rows=4, seed=0), min_rows=2),
    AlignmentPart("contrastive of projections", lambda: ContrastiveAlignment(3, 0.5, replace=True), True, 2),
    AlignmentPart("adversarial", lambda: AdversarialAlignment(3, hidden_dims=(9,))),
    AlignmentPart("adversarial of projections", lambda: AdversarialAlignment(3, 0.3, (), replace=True), changes=True),
    AlignmentPart("adversarial in turns", lambda: AdversarialAlignment(3, updates="alternating")),
    AlignmentPart("discriminator alone", lambda: AdversarialAlignment(3, reverse=False)),
    AlignmentPart("conversion", lambda: ModalityConversion(), changes=True),
    AlignmentPart("conversion with hidden layers", lambda: ModalityConversion((17,), weight=1.0), changes=True),
]


def loss_of(alignment: tf.keras.layers.Layer, inputs: Any = None, counted: tf.Tensor | None = None) -> tf.Tensor:
    """The loss that a call in training adds, scalar."""
    alignment(embedded() if inputs is None else inputs, counted=counted, training=True)
    [loss] = alignment.losses
    return loss
