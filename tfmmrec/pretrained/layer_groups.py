"""Which weights of a Keras network are of one layer, for fine-tuning layer by layer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


def layer_groups(weights: Sequence[Any]) -> list[list[Any]]:
    """Weights by layer, in the network's order.

    A layer is what stands in a weight's path up to the first part that is numbered (`encoder/block_3`), or its first
    part where none is (`embeddings`).

    Args:
        weights: Keras 3 variables, which have a `path`, from the input on.
    """
    groups: dict[str, list[Any]] = {}
    for weight in weights:
        parts = weight.path.split("/")[:-1] or [weight.path]  # the last is the weight's own name
        numbered = next((place for place, part in enumerate(parts) if re.search(r"\d", part)), 0)
        groups.setdefault("/".join(parts[: numbered + 1]), []).append(weight)
    return list(groups.values())
