import numpy as np
import pytest

from tests.data.test_splits import make
from tfmmrec.data.block_splits import Block, TimeBounds, newest_from, newest_rank, split_block, time_buckets
from tfmmrec.data.splits import TEST, TRAIN, VALID, split_interactions
from tfmmrec.data.value_counts import ValueCounts
from tfmmrec.schema import Split


def local_parts(log, split, seed):
    """The part of each row by the local split; a log of `make` has row numbers for candidates."""
    parts = np.full(log.num_rows, 9)
    for number, part in zip((TRAIN, VALID, TEST), split_interactions(log, split, seed), strict=True):
        if part is not None:
            parts[part.indices] = number
    return parts


def bounds_of(log, split):
    """The bounds as a pipeline finds them: by the buckets' sizes, and the times of two buckets."""
    times = log.columns["timestamp"]
    buckets = time_buckets(times)
    sizes = dict(zip(*(found.tolist() for found in np.unique(buckets, return_counts=True)), strict=True))

    def begin(share, end=None):
        return sum((newest_from(own, ValueCounts.of(times[buckets == own]), sizes, share, end) for own in sizes), [])

    ((test_from, before),) = begin(split.test)
    valid = begin(split.valid, before)
    assert len(valid) == (split.valid > 0 and before > 0)
    return TimeBounds(valid[0][0] if valid else test_from, test_from)


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("method", ["ratio", "leave_one_out", "time"])
@pytest.mark.parametrize("valid", [0.0, 0.2])
def test_blocks_are_parted_as_the_whole_log_is(method, valid, timed):
    if method == "time" and not timed:
        pytest.skip("there is no order in time without times")
    sizes = np.random.default_rng(1).integers(0, 12, 101)
    log, split = make(sizes, timed=timed), Split(method=method, valid=valid, test=0.15)
    bounds = bounds_of(log, split) if method == "time" else None
    times = log.columns.get("timestamp")
    for width in (101, 30, 1):
        found = []
        for first in range(0, 101, width):
            own = sizes[first : first + width]
            block = Block(first, int(sizes[:first].sum()), own)
            rows = slice(block.first_row, block.first_row + int(own.sum()))
            found.append(split_block(block, split, 5, 101, None if times is None else times[rows], bounds))
        np.testing.assert_array_equal(np.concatenate(found), local_parts(log, split, 5))


def test_many_rows_of_one_time_stay_together():
    log, split = make([4, 5], timed=True), Split(method="time", valid=0.1, test=0.1)
    log.columns["timestamp"] = np.array([0, 1, 7, 7, 1, 2, 3, 7, 7.0])
    assert bounds_of(log, split) == TimeBounds(valid_from=3.0, test_from=7.0)


def test_buckets_keep_the_order_of_times():
    times = np.sort(np.concatenate([np.random.default_rng(0).normal(0, 1e9, 1000), [-0.0, 0.0, -1e-300, 1e300]]))
    assert (np.diff(time_buckets(times)) >= 0).all()
    assert np.unique(time_buckets(1.7e9 + np.arange(0, 86400 * 365, 60.0))).size < 300  # a year's minutes


def test_more_rows_than_there_are():
    with pytest.raises(ValueError, match="a rank below 3, the number of rows, got 8"):
        newest_rank({1: 3}, 0.1, 9)
