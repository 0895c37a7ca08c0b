"""Several batches of a stream for one update of the weights."""

from __future__ import annotations

import numpy as np

from tfmmrec.data.batches import BatchStream
from tfmmrec.data.interactions import Interactions
from tfmmrec.types import UsageError


def check_accumulation(accumulate_steps: int, batch_size: int, interactions: Interactions, by_query: bool) -> None:
    """`check_accumulate_steps` ahead of a training, whose batches are of queries or of interactions."""
    number = np.count_nonzero(np.diff(interactions.indptr)) if by_query else interactions.num_rows
    check_accumulate_steps(accumulate_steps, batch_size, int(number))


def check_accumulate_steps(accumulate_steps: int, batch_size: int, num_rows: int) -> None:
    """Refuses to accumulate more batches than there are in a pass over so many rows.

    Raises:
        UsageError: fewer than one batch for an update, or more than there are.
    """
    batch_size = min(batch_size, num_rows)
    number = num_rows // max(batch_size, 1)
    if not 1 <= accumulate_steps <= number:
        raise UsageError(
            f"accumulate_steps must lie in 1 to the number of batches in a pass, which is {number} ({num_rows:,} rows: "
            f"queries under the multinomial loss, interactions under others), got {accumulate_steps}; lower it or "
            f"batch_size={batch_size}"
        )


class AccumulatedBatches(BatchStream):
    """Groups of so many batches of another stream, each a tuple: what `Trainable` averages the gradients of.

    All batches are used: those of a pass that fill no group open the next epoch, which is then by so much less than a
    pass.

    Args:
        stream: of the batches.
        accumulate_steps: batches in a group.

    Attributes:
        batch_size: rows in a group.
        steps_per_epoch: groups in an epoch, the whole ones of a pass.

    Raises:
        UsageError: fewer than one batch in a group, or fewer batches in a pass than in a group.
    """

    def __init__(self, stream: BatchStream, accumulate_steps: int):
        check_accumulate_steps(accumulate_steps, stream.batch_size, stream.num_rows)
        self.stream = stream
        self.accumulate_steps = accumulate_steps
        self.num_rows, self.seed, self.num_groups = stream.num_rows, stream.seed, stream.num_groups
        self.batch_size = stream.batch_size * accumulate_steps
        self.steps_per_epoch = stream.steps_per_epoch // accumulate_steps
        self.num_prefetched = max(1, stream.num_prefetched // accumulate_steps)

    def batch(self, step: int, groups: range | None = None) -> tuple[dict, ...]:
        """The batches of one update, as arrays; of each these groups only, or all."""
        first = step * self.accumulate_steps
        return tuple(self.stream.batch(first + place, groups) for place in range(self.accumulate_steps))


def accumulated(stream: BatchStream, accumulate_steps: int) -> BatchStream:
    """A stream's batches in groups, or as they are where a group is one."""
    return stream if accumulate_steps == 1 else AccumulatedBatches(stream, accumulate_steps)
