import numpy as np
import pytest

from tfmmrec.data.value_counts import ValueCounts

SHARES = [0.0, 0.01, 0.25, 1 / 3, 0.5, 0.75, 0.95, 1.0]


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("spread", [3, 10**6])
def test_quantiles_are_numpy_s(size, spread):
    numbers = np.random.default_rng(size).integers(-spread, spread, size) / 8
    parts = [ValueCounts.of(part) for part in np.array_split(numbers, 4)]
    counted = ValueCounts.merged(parts)
    assert counted.total == size
    assert counted.quantiles(SHARES) == np.quantile(numbers, SHARES).tolist()
    assert counted.nearest(SHARES) == np.quantile(numbers, SHARES, method="nearest").tolist()


def test_ranks_and_what_lies_below():
    numbers = np.array([3.0, 1.0, 3.0, -2.0, 3.0])
    counted = ValueCounts.of(numbers)
    assert [counted.at(rank) for rank in range(5)] == sorted(numbers)
    assert [counted.num_below(bound) for bound in (-2, 1, 2, 3, 4)] == [0, 1, 2, 2, 5]


def test_nothing_merged_is_nothing():
    assert ValueCounts.merged([]).total == 0
