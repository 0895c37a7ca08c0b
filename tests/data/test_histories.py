import numpy as np

from tfmmrec.data.histories import full_histories
from tfmmrec.data.interactions import Interactions


def test_full_histories_are_the_newest_first():
    log = Interactions(
        np.array([0, 0, 2, 7]), np.array([5, 6, 1, 2, 3, 4, 1], np.int32), {"timestamp": np.arange(7.0)}, 8
    )
    found = full_histories(log, np.array([2, 0, 1]), 3)
    assert found.dtype == np.int32
    assert found.tolist() == [[1, 4, 3], [-1, -1, -1], [6, 5, -1]]


def test_full_histories_have_what_was_chosen_again_once_where_it_was_newest():
    log = Interactions(np.array([0, 5]), np.array([3, 1, 3, 2, 1], np.int32), {"timestamp": np.arange(5.0)}, 4)
    assert full_histories(log, np.array([0]), 4).tolist() == [[1, 2, 3, -1]]
    assert full_histories(log, np.array([0]), 2).tolist() == [[1, 2]]


def test_full_histories_without_timestamps_are_a_seeded_choice():
    log = Interactions(np.array([0, 2, 32]), np.arange(32, dtype=np.int32), {}, 32)
    found = full_histories(log, np.array([0, 1]), 10, seed=1)
    assert sorted(found[0].tolist()) == [-1] * 8 + [0, 1]  # all where they fit
    assert len(set(found[1])) == 10 and found[1].min() >= 2
    np.testing.assert_array_equal(full_histories(log, np.array([1]), 10, seed=1)[0], found[1])  # whatever the batch
    assert set(full_histories(log, np.array([1]), 10, seed=2)[0]) != set(found[1])
