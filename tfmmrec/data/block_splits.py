"""The parts of `splits.py` for a block of queries alone, so that any number of processes part one log as one would.

The random choices there are one stream of numbers: one for each query, another one for each query, then one for each
row, query by query. Its generator can be set to any place of the stream, so a block draws the numbers that are its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfmmrec.data.splits import TEST, TRAIN, VALID
from tfmmrec.data.value_counts import ValueCounts
from tfmmrec.schema import Split

_BUCKET_BITS = 24


@dataclass(frozen=True)
class TimeBounds:
    """From which times on rows are no longer for training.

    Attributes:
        valid_from: rows from here on are for validation.
        test_from: rows from here on are for the test.
    """

    valid_from: float
    test_from: float


@dataclass(frozen=True)
class Block:
    """Consecutive queries of a log.

    Attributes:
        first_query: the first one's row.
        first_row: how many interactions the queries before have.
        sizes: interactions of each query, int64 `[num_queries]`.
    """

    first_query: int
    first_row: int
    sizes: np.ndarray


def split_block(
    block: Block,
    split: Split,
    seed: int,
    num_queries: int,
    times: np.ndarray | None = None,
    bounds: TimeBounds | None = None,
) -> np.ndarray:
    """The part of each row, as `split_interactions` has it of the whole log.

    Args:
        block: the queries.
        split: the method and the shares.
        seed: of the random choices.
        num_queries: of the whole log.
        times: float64 `[rows]`; within a query the rows are in this order, or without it in that of the files.
        bounds: for `method: time`.

    Returns:
        TRAIN, VALID or TEST, uint8 `[rows]`.
    """
    if split.method == "time":
        return np.where(times >= bounds.test_from, TEST, np.where(times >= bounds.valid_from, VALID, TRAIN)).astype(
            np.uint8
        )
    sizes = np.asarray(block.sizes, np.int64)
    if split.method == "leave_one_out":
        num_test, num_valid = (sizes >= 2).astype(np.int64), ((sizes >= 3) & (split.valid > 0)).astype(np.int64)
        stream, newest = 0, times is not None
    else:
        num_test = _share(sizes, split.test, _draws(seed, block.first_query, sizes.size))
        rest = sizes - num_test
        num_valid = _share(
            rest, split.valid / (1 - split.test), _draws(seed, num_queries + block.first_query, sizes.size)
        )
        stream, newest = 2 * num_queries, False
    rank = _ranks(sizes, None if newest else _draws(seed, stream + block.first_row, int(sizes.sum())))
    test, valid = np.repeat(num_test, sizes), np.repeat(num_valid, sizes)
    return np.where(rank < test, TEST, np.where(rank < test + valid, VALID, TRAIN)).astype(np.uint8)


def _draws(seed: int, start: int, count: int) -> np.ndarray:
    random = np.random.default_rng((seed, 0))
    random.bit_generator.advance(start)
    return random.random(count)


def _share(sizes: np.ndarray, fraction: float, draws: np.ndarray) -> np.ndarray:
    return np.minimum(np.floor(sizes * fraction + draws).astype(np.int64), np.maximum(sizes - 1, 0))


def _ranks(sizes: np.ndarray, draws: np.ndarray | None) -> np.ndarray:
    """The rank of each row within its query: 0 is the newest, or the one with the least draw."""
    ends = np.cumsum(sizes)
    rows = np.arange(ends[-1] if ends.size else 0)
    if draws is None:
        return np.repeat(ends, sizes) - 1 - rows
    order = np.lexsort((draws, np.repeat(np.arange(sizes.size), sizes)))
    rank = np.empty(rows.size, np.int64)
    rank[order] = rows - np.repeat(ends - sizes, sizes)
    return rank


def time_buckets(times: np.ndarray) -> np.ndarray:
    """A number for each time, int64 `[rows]`, that never falls where times rise: some days share one."""
    bits = (np.asarray(times, np.float64) + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    sign = np.uint64(1 << 63)
    ordered = np.where(bits & sign, ~bits, bits | sign)  # of the same order as the times
    return (ordered >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64)


@dataclass(frozen=True)
class Rank:
    """A place in the sorted order of all times.

    Attributes:
        bucket: that holds the time at this place.
        inside: the place among the times of the bucket.
        before: how many times the buckets before hold.
    """

    bucket: int
    inside: int
    before: int

    def time(self, counts: ValueCounts) -> tuple[float, int]:
        """The time at this place, given the bucket's, and how many of all times are earlier."""
        time = counts.at(self.inside)
        return time, self.before + counts.num_below(time)


def newest_rank(sizes: Mapping[int, int], share: float, end: int | None = None) -> Rank:
    """Where the newest rows begin.

    Args:
        sizes: bucket -> how many times it holds.
        share: how many are meant, of all rows; at least one is.
        end: the newest of this many oldest rows are meant; all when None.
    """
    num_rows = sum(sizes.values())
    rank = max(0, (num_rows if end is None else end) - max(1, round(share * num_rows)))
    before = 0
    for bucket in sorted(sizes):
        if rank < before + sizes[bucket]:
            return Rank(bucket, rank - before, before)
        before += sizes[bucket]
    raise ValueError(f"expected a rank below {before}, the number of rows, got {rank}")


def newest_from(
    bucket: int, counts: ValueCounts, sizes: Mapping[int, int], share: float, end: int | None = None
) -> list[tuple[float, int]]:
    """From which time on rows are the newest, and how many are older; nothing of a bucket that does not hold this time.

    Args:
        bucket: of times.
        counts: its times.
        sizes: as of `newest_rank`.
        share: as of `newest_rank`.
        end: as of `newest_rank`; nothing is found for 0.
    """
    if not share or end == 0:
        return []
    rank = newest_rank(sizes, share, end)
    return [rank.time(counts)] if rank.bucket == bucket else []
