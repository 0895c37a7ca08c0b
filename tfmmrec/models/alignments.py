"""The alignments of a candidate's modalities by name, as hyperparameters and the command line call them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfmmrec.alignment.adversarial import AdversarialAlignment
from tfmmrec.alignment.contrastive import ContrastiveAlignment
from tfmmrec.alignment.conversion import ModalityConversion
from tfmmrec.alignment.subspace import SubspaceAlignment
from tfmmrec.types import UsageError

# The fusion gets the projections: vectors of cached encoders cannot follow a loss themselves.
ALIGNMENTS: dict[str, Callable[..., tf.keras.layers.Layer]] = {
    "subspace": lambda dim, weight: SubspaceAlignment(dim, replace=True, weight=weight, name="subspace"),
    "contrastive": lambda dim, weight: ContrastiveAlignment(dim, replace=True, weight=weight, name="contrastive"),
    "adversarial": lambda dim, weight: AdversarialAlignment(dim, replace=True, weight=weight, name="adversarial"),
    "adversarial_alternating": lambda dim, weight: AdversarialAlignment(
        dim, replace=True, weight=weight, updates="alternating", name="adversarial_alternating"
    ),
    "conversion": lambda dim, weight: ModalityConversion(weight=weight, name="conversion"),
}
"""Name -> (dim, weight) -> a new layer; each takes of them what it has."""


def candidate_alignments(names: Sequence[str], dim: int, weight: float) -> list[tf.keras.layers.Layer]:
    """New alignments by their names, in the order given.

    Args:
        names: of `ALIGNMENTS`.
        dim: size of the vectors that projecting ones give.
        weight: of each one's loss.

    Raises:
        UsageError: no such alignment, or one twice.
    """
    for name in names:
        if name not in ALIGNMENTS:
            raise UsageError(f"alignment must be some of {', '.join(ALIGNMENTS)}, got {name!r}")
    if len(set(names)) < len(names):
        raise UsageError(f"each alignment may stand in the list once, got {', '.join(names)}")
    return [ALIGNMENTS[name](dim, weight) for name in names]
