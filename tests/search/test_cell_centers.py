import numpy as np
import pytest

from tfmmrec.search.cell_centers import cell_centers, default_num_cells, nearest_centers
from tfmmrec.types import UsageError


def _groups(num_groups, size, random):
    middles = 20 * random.normal(size=(num_groups, 8))
    return np.repeat(middles, size, axis=0).astype(np.float32) + random.normal(size=(num_groups * size, 8)).astype("f4")


def test_the_nearest_center_is_that_of_the_least_distance():
    random = np.random.default_rng(0)
    vectors, centers = random.normal(size=(50, 3)).astype("f4"), random.normal(size=(7, 3)).astype("f4")
    distances = np.linalg.norm(vectors[:, None] - centers, axis=2)
    np.testing.assert_array_equal(nearest_centers(vectors, centers), distances.argmin(axis=1))


def test_groups_far_apart_lose_nearly_all_of_their_spread():
    """Twice as many cells as there are groups: no cell has candidates of two groups, and none is empty."""
    vectors = _groups(10, 60, np.random.default_rng(1))
    cells = nearest_centers(vectors, cell_centers(vectors, 20, seed=3))
    groups = np.repeat(np.arange(10), 60)
    assert all(len(set(groups[cells == cell])) == 1 for cell in range(20))


def test_cells_are_of_like_size():
    vectors = np.random.default_rng(2).normal(size=(20_000, 16)).astype(np.float32)
    sizes = np.bincount(nearest_centers(vectors, cell_centers(vectors, 100)), minlength=100)
    assert sizes.min() > 0 and sizes.max() < 4 * sizes.mean()


def test_vectors_that_are_all_alike():
    centers = cell_centers(np.ones((30, 4), np.float32), 5)
    np.testing.assert_array_equal(centers, np.ones((5, 4)))


@pytest.mark.parametrize("num_cells", [0, 11])
def test_as_many_cells_as_can_be(num_cells):
    with pytest.raises(UsageError, match=f"10 candidates can have 1 to 10 cells, got {num_cells}"):
        cell_centers(np.ones((10, 2), np.float32), num_cells)


def test_twice_the_root_of_the_candidates_and_no_more_than_there_are():
    assert [default_num_cells(size) for size in (1, 3, 100, 1_000_000)] == [1, 3, 20, 2000]
