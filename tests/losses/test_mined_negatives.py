import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.losses import MinedNegatives
from tfmmrec.types import UsageError

HARDEST = np.array([[4, 2, 9, 7], [1, -1, -1, -1], [-1, -1, -1, -1], [5, 6, 8, -1]])
QUERIES = np.array([3, 0, 1, 2, 0, 3], np.int32)


def make(num_drawn=2, seed=7):
    mined = MinedNegatives(4, 4, num_drawn, seed)
    mined.assign(HARDEST)
    return mined


def draw(mined, training=True, queries=QUERIES):
    rows, log_expected = mined(training, tf.constant(queries))
    assert log_expected is None and rows.dtype == tf.int32
    return rows.numpy().reshape(len(queries), mined.num_drawn)


def test_before_anything_is_mined_there_are_none():
    np.testing.assert_array_equal(draw(MinedNegatives(4, 4, 2)), np.full((6, 2), -1))


def test_each_row_draws_different_ones_of_its_query():
    mined = make()
    for _ in range(20):
        for query, row in zip(QUERIES, draw(mined), strict=True):
            there = HARDEST[query][HARDEST[query] >= 0]
            assert set(row[row >= 0]) <= set(there) and len(set(row[row >= 0])) == min(2, len(there))


def test_all_of_them_when_so_many_are_drawn():
    for query, row in zip(QUERIES, draw(make(4)), strict=True):
        assert sorted(row) == sorted(HARDEST[query])


def test_chances_are_equal():
    mined = make(1)
    found = np.concatenate([draw(mined)[:, 0][QUERIES == 0] for _ in range(400)])
    counts = np.array([(found == candidate).sum() for candidate in HARDEST[0]])
    assert counts.sum() == 800
    assert ((counts - 200) ** 2 / 200).sum() < 16.3  # χ² of 3 degrees of freedom, at 0.001


def test_another_draw_in_every_step_and_the_same_for_every_test():
    mined = make()
    drawn = [draw(mined).tolist() for _ in range(5)]
    assert len({str(rows) for rows in drawn}) > 1
    assert draw(mined, training=False).tolist() == draw(mined, training=False).tolist()
    assert [draw(again := make()).tolist(), draw(again).tolist()] == drawn[:2]


def test_a_checkpoint_remembers_the_table_and_the_draws(tmp_path):
    mined = make()
    draw(mined)
    path = tf.train.Checkpoint(mined=mined).write(str(tmp_path / "checkpoint"))
    other = MinedNegatives(4, 4, 2, seed=7)
    tf.train.Checkpoint(mined=other).read(path).assert_consumed()
    np.testing.assert_array_equal(draw(other), draw(mined))
    assert not mined.trainable_variables


def test_two_replicas_draw_as_one(replicas):
    expected = [draw(make()) for _ in range(1)][0]
    strategy = replicas(2)
    with strategy.scope():
        mined = make()

    def in_replica():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        return mined(True, tf.constant(QUERIES)[number * 3 : number * 3 + 3])[0]

    found = strategy.experimental_local_results(tf.function(lambda: strategy.run(in_replica))())
    np.testing.assert_array_equal(np.concatenate([rows.numpy() for rows in found]).reshape(6, 2), expected)


@pytest.mark.parametrize("num_drawn", [0, 5])
def test_numbers_out_of_range(num_drawn):
    message = f"num_mined must be at least 1 and no more than mined_depth.*got num_mined={num_drawn} and mined_depth=4"
    with pytest.raises(UsageError, match=message):
        MinedNegatives(4, 4, num_drawn)


def test_a_table_too_large_for_the_memory_is_refused():
    with pytest.raises(UsageError, match="the table of 1,000,000,000 queries' hardest needs 800,000.0 MB.*mined_depth"):
        MinedNegatives(10**9, 100)
