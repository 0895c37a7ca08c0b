import numpy as np
import pytest

from tfmmrec.data import interactions as interactions_module
from tfmmrec.data import splits
from tfmmrec.data.interactions import Interactions
from tfmmrec.data.splits import choose_cold, hold_out, split_interactions, without
from tfmmrec.schema import Split
from tfmmrec.types import DataError, UsageError


def make(sizes, timed=False, seed=0):
    """A log whose candidates are the row numbers, so that every row can be told from every other."""
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    columns = {}
    if timed:
        times = np.random.default_rng(seed).permutation(indptr[-1]).astype(np.float64) - 7.5
        for start, stop in zip(indptr[:-1], indptr[1:], strict=True):
            times[start:stop].sort()
        columns["timestamp"] = times
    return Interactions(indptr, np.arange(indptr[-1], dtype=np.int32), columns, int(indptr[-1]))


def rows(*parts):
    return np.concatenate([part.indices for part in parts if part is not None])


@pytest.mark.parametrize("method", ["ratio", "leave_one_out", "time"])
@pytest.mark.parametrize("block_rows", [5, 2**18])
def test_every_row_is_in_one_part_and_the_seed_decides(monkeypatch, method, block_rows):
    monkeypatch.setattr(interactions_module, "BLOCK_ROWS", block_rows)
    monkeypatch.setattr(splits, "BLOCK_ROWS", block_rows)
    log = make([10, 0, 3, 1, 40, 2], timed=method == "time")
    split = Split(method=method, valid=0.2, test=0.2)
    parts = split_interactions(log, split, seed=3)
    assert sorted(rows(*parts)) == list(range(log.num_rows))
    again = split_interactions(log, split, seed=3)
    assert all((one.indices == other.indices).all() for one, other in zip(parts, again, strict=True))
    if method != "time":
        other = split_interactions(log, split, seed=4)
        assert not np.array_equal(parts[2].indices, other[2].indices)


def test_ratio_keeps_its_shares_even_over_short_queries():
    log = make([5] * 4000)
    train, valid, test = split_interactions(log, Split(method="ratio", valid=0.1, test=0.3), 0)
    assert abs(test.num_rows / log.num_rows - 0.3) < 0.01
    assert abs(valid.num_rows / log.num_rows - 0.1) < 0.01
    assert np.diff(train.indptr).min() >= 1
    place = np.bincount(test.indices % 5, minlength=5) / test.num_rows
    assert np.abs(place - 0.2).max() < 0.02  # any row of a query is as likely as any other


def test_leave_one_out_takes_the_newest():
    log = make([4, 2, 1, 3], timed=True)
    train, valid, test = split_interactions(log, Split(method="leave_one_out"), 0)
    assert test.indices.tolist() == [3, 5, 9]
    assert valid.indices.tolist() == [2, 8]
    assert train.indices.tolist() == [0, 1, 4, 6, 7]


def test_leave_one_out_without_times_takes_a_random_one():
    log = make([4] * 1000)
    train, valid, test = split_interactions(log, Split(method="leave_one_out", valid=0.0), 0)
    assert valid is None
    assert (np.diff(test.indptr) == 1).all()
    assert np.abs(np.bincount(test.indices % 4) / 1000 - 0.25).max() < 0.06


def test_time_cuts_the_whole_log():
    log = make([30, 5, 65], timed=True)
    train, valid, test = split_interactions(log, Split(method="time", valid=0.1, test=0.2), 0)
    assert (train.num_rows, valid.num_rows, test.num_rows) == (70, 10, 20)
    times = [part.columns["timestamp"] for part in (train, valid, test)]
    assert times[0].max() < times[1].min() and times[1].max() < times[2].min()


def test_rows_of_the_same_time_stay_together():
    log = make([10])
    log.columns["timestamp"] = np.array([1, 1, 1, 1, 1, 1, 2, 3, 3, 3], np.float64)
    train, valid, test = split_interactions(log, Split(method="time", valid=0.1, test=0.2), 0)
    assert (train.num_rows, valid.num_rows, test.num_rows) == (6, 1, 3)


@pytest.mark.parametrize("seed", range(20))
def test_order_statistics_are_numpys(seed):
    random = np.random.default_rng(seed)
    values = np.concatenate([random.normal(0, 10.0 ** random.integers(-5, 12), 50), [0.0, -0.0, 1.0, 1.0]])
    for rank in (0, 1, 20, values.size - 1):
        assert splits._order_statistic(values, rank) == np.sort(values)[rank]


def test_an_empty_part_is_an_error():
    with pytest.raises(DataError, match="interactions.split: test is empty .*no query has more than 1; choose another"):
        split_interactions(make([1, 1, 1]), Split(method="leave_one_out"), 0)
    with pytest.raises(DataError, match="interactions.split: valid is empty"):
        split_interactions(make([2, 2]), Split(method="leave_one_out"), 0)
    log = make([5])
    log.columns["timestamp"] = np.ones(5)
    with pytest.raises(DataError, match="train is empty .* rows of the same time stay together"):
        split_interactions(log, Split(method="time", valid=0.0), 0)
    with pytest.raises(DataError, match="method: time needs `timestamp`"):
        split_interactions(make([5]), Split(method="time"), 0)


@pytest.mark.parametrize("timed", [False, True])
def test_hold_out(timed):
    log = make([10, 1, 0, 2, 33], timed=timed)
    rest, held = hold_out(log, 0.3, seed=1)
    assert sorted(rows(rest, held)) == list(range(46))
    assert (np.diff(rest.indptr)[[0, 1, 3, 4]] >= 1).all()
    assert np.diff(held.indptr)[[0, 1, 2]].tolist() == [3, 0, 0]
    assert np.diff(held.indptr)[4] in (9, 10)
    if timed:
        assert held.candidates_of(0).tolist() == [7, 8, 9]
        assert set(held.columns) == {"timestamp"}
    again = hold_out(log, 0.3, seed=1)[1]
    assert (again.indices == held.indices).all()


def test_hold_out_of_short_logs_finds_something():
    rest, held = hold_out(make([2, 1]), 0.001, seed=0)
    assert held.num_rows == 1 and np.diff(rest.indptr).tolist() == [1, 1]


def test_hold_out_refuses():
    with pytest.raises(UsageError, match="fraction must be between 0 and 1, both excluded, got 1"):
        hold_out(make([5]), 1, 0)
    with pytest.raises(DataError, match="no query has two interactions; give a `valid` file of its own"):
        hold_out(make([1, 1]), 0.5, 0)


def test_cold_candidates():
    counts = np.array([0, 5, 1, 0, 2, 3, 9, 1, 1, 1])
    cold = choose_cold(counts, 0.3, seed=0)
    assert cold.sum() == 3 and not cold[[0, 3]].any()
    assert (choose_cold(counts, 0.3, seed=0) == cold).all()
    assert any((choose_cold(counts, 0.3, seed=seed) != cold).any() for seed in range(1, 5))
    with pytest.raises(DataError, match="0.8 asks for 8 of 10 candidates, but only 8 have interactions"):
        choose_cold(counts, 0.8, seed=0)


def test_without():
    part = without(make([3, 2]), np.array([True, False, False, True, True]))
    assert part.indices.tolist() == [1, 2] and part.indptr.tolist() == [0, 2, 2]
