"""Several batches of a stream for one update of the weights."""

from __future__ import annotations

from tfmmrec.data.batches import BatchStream
from tfmmrec.types import UsageError


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
        if not 1 <= accumulate_steps <= stream.steps_per_epoch:
            raise UsageError(
                f"accumulate_steps must lie in 1 to the number of batches in a pass, which is "
                f"{stream.steps_per_epoch}, got {accumulate_steps}; lower it or batch_size={stream.batch_size}"
            )
        self.stream = stream
        self.accumulate_steps = accumulate_steps
        self.num_rows, self.seed = stream.num_rows, stream.seed
        self.batch_size = stream.batch_size * accumulate_steps
        self.steps_per_epoch = stream.steps_per_epoch // accumulate_steps
        self.num_prefetched = max(1, stream.num_prefetched // accumulate_steps)

    def batch(self, step: int) -> tuple[dict, ...]:
        """The batches of one update, as arrays."""
        first = step * self.accumulate_steps
        return tuple(self.stream.batch(first + place) for place in range(self.accumulate_steps))
