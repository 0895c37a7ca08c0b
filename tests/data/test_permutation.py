import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfmmrec.data.permutation import Permutation


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**63 - 1), st.integers(0, 100))
def test_every_number_comes_once(size, seed, epoch):
    entries = Permutation(size, seed, epoch)(np.arange(size))
    assert entries.dtype == np.int64
    np.testing.assert_array_equal(np.sort(entries), np.arange(size))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 255, 256, 257])
def test_sizes_around_powers_of_two(size):
    np.testing.assert_array_equal(np.sort(Permutation(size, 1)(np.arange(size))), np.arange(size))


def test_an_entry_is_a_function_of_seed_and_place():
    whole = Permutation(1000, 3, 1)(np.arange(1000))
    places = np.array([[999, 0], [17, 17]])
    np.testing.assert_array_equal(Permutation(1000, 3, 1)(places), whole[places])


def test_another_seed_or_epoch_is_another_order():
    orders = [Permutation(1000, *seed)(np.arange(1000)) for seed in ((0, 0), (0, 1), (1, 0), (2, 0))]
    for one, other in itertools.combinations(orders, 2):
        # two random orders agree in one place on average
        assert (one == other).sum() < 10


def test_every_order_of_three_comes_about_equally_often():
    orders = Counter(tuple(Permutation(3, seed)(np.arange(3)).tolist()) for seed in range(1200))
    assert len(orders) == 6
    # 200 expected each, with a standard deviation of 13
    assert all(abs(count - 200) < 5 * 13 for count in orders.values())


def test_a_place_takes_every_entry_about_equally_often():
    size, times = 20, 2000
    entries = np.array([Permutation(size, seed)(np.arange(size)) for seed in range(times)])
    expected = times / size
    for place in (0, 7, 19):
        counts = np.bincount(entries[:, place], minlength=size)
        # chi-square with 19 degrees of freedom: 43.8 is exceeded once in a thousand
        assert ((counts - expected) ** 2 / expected).sum() < 43.8


def test_neighbours_are_torn_apart():
    size = 5000
    entries = Permutation(size, 0)(np.arange(size))
    # correlation of two random orders: standard deviation 1 / sqrt(5000)
    assert abs(np.corrcoef(np.arange(size), entries)[0, 1]) < 4 / np.sqrt(size)
    assert abs(np.corrcoef(entries[:-1], entries[1:])[0, 1]) < 4 / np.sqrt(size)


def test_billions_of_rows_take_no_memory():
    size = 3 * 10**9
    entries = Permutation(size, 0)(np.array([0, 1, size - 1]))
    assert len(set(entries.tolist())) == 3 and entries.min() >= 0 and entries.max() < size


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        Permutation(0, 1)
