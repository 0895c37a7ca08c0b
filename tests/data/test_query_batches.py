import numpy as np
import pytest

from tests.data.logs import EVERY_LOG, NUM_CANDIDATES, QUERY_TABLES, make_log
from tfmmrec.data.interactions import Interactions
from tfmmrec.data.query_batches import QueryBatches
from tfmmrec.types import UsageError


def query_rows(batch):
    return batch["query"]["age"]["value"].astype(int)


@pytest.mark.parametrize(("seed", "timed"), EVERY_LOG)
@pytest.mark.parametrize("length", [1, 3, 50])
def test_a_target_is_never_in_the_history(seed, timed, length):
    log = make_log(seed, timed)
    stream = QueryBatches(log, QUERY_TABLES, 4, history_length=length, seed=seed)
    for step in range(6 * stream.steps_per_epoch):
        batch = stream.batch(step)
        histories = batch["query"]["history"]["rows"]
        assert histories.shape == (stream.batch_size, length) and histories.dtype == np.int32
        for query, history, targets in zip(query_rows(batch), histories, batch["targets"], strict=True):
            own = log.candidates_of(query)
            history = history[history >= 0]
            assert set(np.flatnonzero(targets)) <= set(own) and set(history) <= set(own)
            assert targets.sum() > 0
            assert not targets[history].any()
            assert len(history) <= len(own) - 1


@pytest.mark.parametrize("seed", range(4))
def test_with_timestamps_targets_come_after_the_history(seed):
    log = make_log(seed, timed=True)
    stream = QueryBatches(log, QUERY_TABLES, 4, history_length=3, seed=seed)
    for step in range(6 * stream.steps_per_epoch):
        batch = stream.batch(step)
        for query, history, targets in zip(
            query_rows(batch), batch["query"]["history"]["rows"], batch["targets"], strict=True
        ):
            start, end = log.indptr[query], log.indptr[query + 1]
            # the weight of a target tells its rows: they are the last ones of the query
            num_inputs = _inputs_of(log, start, end, targets)
            inputs = log.indices[start : start + num_inputs][::-1][:3]  # newest first, capped
            inputs = np.where(np.isin(inputs, log.indices[start + num_inputs : end]), -1, inputs)
            np.testing.assert_array_equal(history, np.pad(inputs, (0, 3 - inputs.size), constant_values=-1))


def _inputs_of(log, start, end, targets):
    for num_inputs in range(1, end - start):
        expected = np.zeros(NUM_CANDIDATES)
        np.add.at(expected, log.indices[start + num_inputs : end], log.columns["weight"][start + num_inputs : end])
        if np.allclose(expected, targets):
            return num_inputs
    raise AssertionError(f"targets {targets} are no end of rows {start} to {end}")


def test_without_timestamps_every_row_is_an_input_now_and_a_target_then():
    log = Interactions(np.array([0, 5]), np.arange(5, dtype=np.int32), {}, 5)
    stream = QueryBatches(log, {}, 1, history_length=5, seed=0)
    inputs, targets = np.zeros(5), np.zeros(5)
    for step in range(200):
        batch = stream.batch(step)
        history = batch["query"]["history"]["rows"][0]
        inputs[history[history >= 0]] += 1
        targets += batch["targets"][0]
        assert batch["targets"][0].sum() + (history >= 0).sum() == 5  # what is no input is a target
    np.testing.assert_array_equal(inputs + targets, 200)
    # shares of 0.2 to 0.8: half on average; the standard deviation of a count of 200 is at most 7.1
    assert (np.abs(inputs - 100) < 5 * 7.1).all()


def test_the_share_of_inputs_stays_in_its_bounds():
    log = Interactions(np.array([0, 40]), np.arange(40, dtype=np.int32), {}, 40)
    stream = QueryBatches(log, {}, 1, history_length=40, input_share=(0.25, 0.5))
    counts = [(stream.batch(step)["query"]["history"]["rows"] >= 0).sum() for step in range(200)]
    assert min(counts) >= 10 and max(counts) <= 20 and len(set(counts)) > 8


def test_the_cap_leaves_the_rest_to_the_targets_or_drops_what_is_older():
    candidates = np.arange(20, dtype=np.int32)
    plain = QueryBatches(Interactions(np.array([0, 20]), candidates, {}, 20), {}, 1, history_length=3)
    timed_log = Interactions(np.array([0, 20]), candidates, {"timestamp": np.arange(20.0)}, 20)
    timed = QueryBatches(timed_log, {}, 1, history_length=3)
    for step in range(20):
        batch = plain.batch(step)
        assert (batch["query"]["history"]["rows"] >= 0).sum() == 3 and batch["targets"].sum() == 17
        batch = timed.batch(step)
        history = batch["query"]["history"]["rows"][0]
        newest = 20 - int(batch["targets"].sum()) - 1
        assert history.tolist() == [newest, newest - 1, newest - 2]


@pytest.mark.parametrize("history_length", [0, 4])
def test_every_query_comes_once_in_an_epoch(history_length):
    log = make_log()
    stream = QueryBatches(log, QUERY_TABLES, 1, history_length=history_length)
    seen = [int(query_rows(stream.batch(step))[0]) for step in range(stream.steps_per_epoch)]
    least = 2 if history_length else 1  # a history and a target need two rows
    assert sorted(seen) == np.flatnonzero(np.diff(log.indptr) >= least).tolist()


def test_without_history_all_candidates_are_targets():
    log = make_log()
    stream = QueryBatches(log, QUERY_TABLES, 8)
    batch = stream.batch(0)
    assert "history" not in batch["query"]
    for query, targets in zip(query_rows(batch), batch["targets"], strict=True):
        rows = slice(log.indptr[query], log.indptr[query + 1])
        expected = np.bincount(log.indices[rows], log.columns["weight"][rows], NUM_CANDIDATES)
        np.testing.assert_allclose(targets, expected)


def test_without_a_weight_a_target_is_one_however_often_it_was_chosen():
    log = Interactions(np.array([0, 4]), np.array([2, 2, 0, 2], np.int32), {}, 3)
    targets = QueryBatches(log, {}, 1).batch(0)["targets"]
    assert targets.dtype == np.uint8 and targets.tolist() == [[1, 0, 1]]


def test_queries_with_one_row_each_have_nothing_to_make_a_history_of():
    log = Interactions(np.arange(4), np.arange(3, dtype=np.int32), {}, 3)
    with pytest.raises(UsageError, match="nothing to train on"):
        QueryBatches(log, {}, 2, history_length=3)
