"""Which loss a two-tower model has, and what must be counted for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfmmrec.data.statistics import Statistics

FULL_SOFTMAX_LIMIT = 20_000


def choose_loss(loss: str, num_candidates: int, full: str = "multinomial") -> str:
    """A loss by its name; auto is the `full` one up to 20,000 candidates, beyond that sampled_softmax."""
    if loss != "auto":
        return loss
    return full if num_candidates <= FULL_SOFTMAX_LIMIT else "sampled_softmax"


def loss_arguments(
    loss: str,
    statistics: Statistics,
    negatives: str = "in_batch",
    global_batch_size: int | None = None,
    count_frequencies: bool = True,
) -> dict[str, Any]:
    """The arguments of `TwoTower` that say by what it is trained.

    Args:
        loss: one of `TwoTower`'s.
        statistics: what was counted of the dataset.
        negatives: where they come from, see `TwoTower`.
        global_batch_size: interactions over all replicas in a step, where it is known.
        count_frequencies: correct the sampled softmax by counted frequencies; False estimates them from the stream.

    Returns:
        loss, negatives, num_candidates, candidate_counts and global_batch_size. Where the loss estimates frequencies
        from the stream, global_batch_size is None, and so are candidate_counts unless negatives are drawn by them.
    """
    estimates = loss == "sampled_softmax" and negatives in ("in_batch", "mixed")
    counted = not estimates or (count_frequencies and global_batch_size is not None)
    return {
        "loss": loss,
        "negatives": negatives,
        "num_candidates": statistics.num_candidates,
        "candidate_counts": np.asarray(statistics.candidate_counts) if counted or negatives != "in_batch" else None,
        "global_batch_size": global_batch_size if counted and loss == "sampled_softmax" else None,
    }
