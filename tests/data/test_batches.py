import numpy as np
import pytest
import tensorflow as tf

from tests.data.logs import CANDIDATE_TABLES, EVERY_LOG, NUM_CANDIDATES, QUERY_TABLES, make_log
from tfmmrec.data.accumulated_batches import accumulated
from tfmmrec.data.batches import BatchStream, InteractionBatches, gather, unique_capacity
from tfmmrec.data.interactions import Interactions
from tfmmrec.data.query_batches import QueryBatches
from tfmmrec.types import UsageError


def interaction_batches(log, batch_size=8, **options):
    return InteractionBatches(log, QUERY_TABLES, CANDIDATE_TABLES, batch_size, **options)


def rows_of(batch):
    return batch["weight"].astype(int) - 1


def same(one, other):
    tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_gather_takes_row_zero_for_padding():
    found = gather(CANDIDATE_TABLES, np.array([3, -1]))
    np.testing.assert_array_equal(found["name"]["words"], [[6, 7], [0, 1]])


@pytest.mark.parametrize(("seed", "timed"), EVERY_LOG)
def test_a_batch_is_the_rows_of_the_log(seed, timed):
    log = make_log(seed, timed)
    stream = interaction_batches(log, seed=seed)
    queries = log.query_rows()
    for step in range(2 * stream.steps_per_epoch):
        batch = stream.batch(step)
        rows = rows_of(batch)
        np.testing.assert_array_equal(batch["candidate_rows"][batch["positive"]], log.indices[rows])
        np.testing.assert_array_equal(batch["query"]["age"]["value"], queries[rows])
        np.testing.assert_array_equal(batch["query_rows"], queries[rows])
        unique = batch["candidate_rows"]
        assert sorted(unique[unique >= 0]) == sorted(set(log.indices[rows]))  # each candidate once
        np.testing.assert_array_equal(batch["candidate"]["name"]["words"][:, 0], 2 * np.maximum(unique, 0))


def test_ratings_come_where_there_are_any():
    log = make_log()
    assert "rating" not in interaction_batches(log).batch(0)
    log.columns["rating"] = np.where(np.arange(log.num_rows) % 3, np.arange(log.num_rows) / 2, np.nan).astype("f4")
    batch = interaction_batches(log).batch(1)
    np.testing.assert_array_equal(batch["rating"], log.columns["rating"][rows_of(batch)])
    assert batch["rating"].dtype == np.float32 and batch["query_rows"].dtype == np.int32


@pytest.mark.parametrize("batch_size", [1, 8, 10_000])
def test_every_row_comes_once_in_an_epoch(batch_size):
    log = make_log()
    stream = interaction_batches(log, batch_size=batch_size)
    orders = []
    for epoch in range(3):
        steps = range(epoch * stream.steps_per_epoch, (epoch + 1) * stream.steps_per_epoch)
        rows = np.concatenate([rows_of(stream.batch(step)) for step in steps])
        assert len(set(rows)) == rows.size > log.num_rows - stream.batch_size
        orders.append(rows.tolist())
    assert orders[0] != orders[1] != orders[2]  # each epoch in another order


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("kind", [InteractionBatches, QueryBatches])
def test_a_step_is_a_function_of_seed_and_step(kind, timed):
    def make(seed):
        if kind is InteractionBatches:
            return interaction_batches(make_log(timed=timed), history_length=4, seed=seed)
        return QueryBatches(make_log(timed=timed), QUERY_TABLES, 3, history_length=4, seed=seed)

    forwards, backwards = make(5), make(5)
    steps = range(7)
    expected = [forwards.batch(step) for step in steps]
    same([backwards.batch(step) for step in reversed(steps)], expected[::-1])
    others = [make(6).batch(step) for step in steps]
    assert any((a != b).any() for a, b in zip(tf.nest.flatten(others), tf.nest.flatten(expected), strict=True))


@pytest.mark.parametrize("kind", ["interactions", "queries"])
def test_the_dataset_has_the_batches_and_goes_on_from_any_step(kind):
    log = make_log(timed=True)
    if kind == "interactions":
        stream = interaction_batches(log, history_length=4)
    else:
        stream = QueryBatches(log, QUERY_TABLES, 3, history_length=4)
    dataset = stream.dataset(start_step=2)
    for spec, array in zip(tf.nest.flatten(dataset.element_spec), tf.nest.flatten(stream.batch(0)), strict=True):
        assert spec.shape == array.shape and spec.dtype == array.dtype  # static, the batch included
    for step, batch in zip(range(2, 6), dataset.as_numpy_iterator(), strict=False):
        same(batch, stream.batch(step))


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("kind", ["interactions", "queries", "accumulated"])
@pytest.mark.parametrize("num_workers", [1, 2])
def test_what_the_workers_replicas_take_is_the_batch(kind, timed, num_workers):
    """Of four replicas, those of each worker in turn; no two take the same rows and none is left."""
    log = make_log(timed=timed)
    if kind == "queries":
        stream = QueryBatches(log, QUERY_TABLES, 5, history_length=4, num_groups=4)
        assert stream.batch_size == 4
    else:
        stream = accumulated(
            interaction_batches(log, history_length=4, num_groups=4), 2 if kind == "accumulated" else 1
        )
    own = 4 // num_workers
    shares = [stream.worker_dataset(3, worker, num_workers).take(2 * own) for worker in range(num_workers)]
    shares = [list(share.as_numpy_iterator()) for share in shares]
    for step in range(2):
        parts = [part for share in shares for part in share[step * own : (step + 1) * own]]
        together = tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
        same(together, stream.batch(3 + step))


def test_strings_of_a_frozen_text_model_go_through():
    names = {"name": {"text": np.array([f"é {n}".encode() for n in range(NUM_CANDIDATES)], object)}}
    stream = InteractionBatches(make_log(), QUERY_TABLES, names, 4)
    batch = next(iter(stream.dataset()))
    assert batch["candidate"]["name"]["text"].dtype == tf.string
    expected = [f"é {max(row, 0)}".encode() for row in batch["candidate_rows"].numpy()]
    assert batch["candidate"]["name"]["text"].numpy().tolist() == expected


@pytest.mark.parametrize(("seed", "timed"), EVERY_LOG)
def test_the_rows_own_candidate_is_never_in_its_history(seed, timed):
    log = make_log(seed, timed)
    for length in (1, 3, 50):
        stream = interaction_batches(log, batch_size=5, history_length=length, seed=seed)
        for step in range(3 * stream.steps_per_epoch):
            batch = stream.batch(step)
            histories = batch["query"]["history"]["rows"]
            assert histories.shape == (stream.batch_size, length) and histories.dtype == np.int32
            assert not (histories == log.indices[rows_of(batch)][:, None]).any()


@pytest.mark.parametrize("seed", range(4))
def test_with_timestamps_a_history_is_what_came_before_newest_first(seed):
    log = make_log(seed, timed=True)
    stream = interaction_batches(log, history_length=3, seed=seed)
    queries = log.query_rows()
    for step in range(stream.steps_per_epoch):
        batch = stream.batch(step)
        for row, history in zip(rows_of(batch), batch["query"]["history"]["rows"], strict=True):
            before = log.indices[log.indptr[queries[row]] : row][::-1][:3]
            before = np.where(before == log.indices[row], -1, before)
            np.testing.assert_array_equal(history, np.pad(before, (0, 3 - before.size), constant_values=-1))


@pytest.mark.parametrize("seed", range(4))
def test_without_timestamps_a_history_is_of_the_querys_others(seed):
    log = make_log(seed)
    queries = log.query_rows()
    for length in (3, 50):
        stream = interaction_batches(log, batch_size=6, history_length=length, seed=seed)
        for step in range(stream.steps_per_epoch):
            batch = stream.batch(step)
            for row, history in zip(rows_of(batch), batch["query"]["history"]["rows"], strict=True):
                others = np.delete(log.candidates_of(queries[row]), row - log.indptr[queries[row]])
                other_counts = np.bincount(others[others != log.indices[row]], minlength=NUM_CANDIDATES)
                counts = np.bincount(history[history >= 0], minlength=NUM_CANDIDATES)
                assert (counts <= other_counts).all()  # each row of the log at most once
                if length >= others.size:
                    np.testing.assert_array_equal(counts, other_counts)
                else:
                    same_pair = (others == log.indices[row]).sum()
                    assert counts.sum() >= length - same_pair


def test_without_timestamps_all_others_get_their_turn():
    log = Interactions(np.array([0, 6]), np.arange(6, dtype=np.int32), {"weight": np.arange(1.0, 7.0)}, 6)
    stream = InteractionBatches(log, {}, {}, 6, history_length=2, seed=0)
    seen = np.zeros((6, 6), int)
    for step in range(300):
        batch = stream.batch(step)
        for row, history in zip(rows_of(batch), batch["query"]["history"]["rows"], strict=True):
            seen[row, history] += 1
    # 300 windows of 2 of 5 others: 120 each, with a standard deviation of 8.5
    np.testing.assert_array_equal(np.diag(seen), 0)
    assert (np.abs(seen[~np.eye(6, dtype=bool)] - 120) < 5 * 8.5).all()


@pytest.mark.parametrize("num_groups", [2, 4])
def test_every_replica_has_its_own_candidates(num_groups):
    log = make_log(1)
    stream = interaction_batches(log, batch_size=11, num_groups=num_groups)
    size = 11 // num_groups
    assert stream.batch_size == size * num_groups
    for step in range(stream.steps_per_epoch):
        batch = stream.batch(step)
        unique = batch["candidate_rows"].reshape(num_groups, -1)
        candidates = log.indices[rows_of(batch)].reshape(num_groups, size)
        for group in range(num_groups):
            own = batch["positive"].reshape(num_groups, size)[group]
            np.testing.assert_array_equal(unique[group][own], candidates[group])
            assert sorted(unique[group][unique[group] >= 0]) == sorted(set(candidates[group]))


def test_groups_have_the_rows_that_one_has():
    log = make_log(1)
    one, two = interaction_batches(log, batch_size=8), interaction_batches(log, batch_size=8, num_groups=2)
    for step in range(one.steps_per_epoch):
        np.testing.assert_array_equal(rows_of(two.batch(step)), rows_of(one.batch(step)))


def test_without_a_column_every_row_weighs_one():
    log = make_log()
    del log.columns["weight"]
    np.testing.assert_array_equal(interaction_batches(log).batch(0)["weight"], np.ones(8, np.float32))


def test_capacity_for_different_candidates():
    counts = np.array([400, 200, 100, *[1] * 1000])
    capacity = unique_capacity(counts, 100)
    random = np.random.default_rng(0)
    log = np.repeat(np.arange(counts.size), counts)
    found = [np.unique(random.choice(log, 100, replace=False)).size for _ in range(500)]
    assert max(found) <= capacity <= 100
    assert unique_capacity(np.array([5, 0, 3]), 6) == 2  # no more than there are
    assert unique_capacity(np.ones(5, int), 5) == 5  # the whole log


def test_rows_whose_candidate_finds_no_place_weigh_nothing():
    log = make_log()
    stream, small = interaction_batches(log), interaction_batches(log)
    small.unique_size = 3  # as in the rare batch with more different candidates than there is room for
    for step in range(stream.steps_per_epoch):
        whole, batch = stream.batch(step), small.batch(step)
        candidates = whole["candidate_rows"][whole["positive"]]
        placed = np.isin(candidates, batch["candidate_rows"])
        assert 0 < placed.sum() < placed.size
        np.testing.assert_array_equal(batch["weight"], np.where(placed, whole["weight"], 0))
        np.testing.assert_array_equal(batch["candidate_rows"][batch["positive"]][placed], candidates[placed])


def test_what_cannot_be_batched_is_refused():
    empty = Interactions(np.zeros(4, np.int64), np.zeros(0, np.int32), {}, 3)
    with pytest.raises(UsageError, match="there is nothing to train on: no query has an interaction in train"):
        InteractionBatches(empty, {}, {}, 4)
    with pytest.raises(UsageError, match="batch_size must be at least 1, got 0"):
        interaction_batches(make_log(), batch_size=0)
    with pytest.raises(UsageError, match="a batch of 3 rows gives 4 replicas nothing to do; raise batch_size"):
        interaction_batches(make_log(), batch_size=3, num_groups=4)
    with pytest.raises(NotImplementedError, match="BatchStream has no batch"):
        BatchStream(3, 1, 0).batch(0)
