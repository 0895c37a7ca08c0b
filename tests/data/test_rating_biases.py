import numpy as np

from tfmmrec.data import interactions
from tfmmrec.data.interactions import Interactions
from tfmmrec.data.rating_biases import rating_biases


def log(seed=0, num_queries=6, num_candidates=5):
    """Everybody rates some candidates; some ratings are missing, and nobody rates the last candidate."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, num_candidates - 1, num_queries)
    chosen = [random.choice(num_candidates - 1, size, replace=False) for size in sizes]
    ratings = random.uniform(1, 5, sizes.sum()).astype(np.float32)
    ratings[[0, 4]] = np.nan
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    return Interactions(indptr, np.concatenate(chosen).astype(np.int32), {"rating": ratings}, num_candidates)


def test_biases_solve_the_ridge_regression():
    train = log()
    is_rated = np.isfinite(train.columns["rating"])
    ratings = train.columns["rating"][is_rated]
    found = rating_biases(train, ratings.mean(), regularization=2.0, num_sweeps=200)
    design = np.zeros((is_rated.sum(), 6 + 5))  # one column for each bias
    design[np.arange(len(design)), train.query_rows()[is_rated]] = 1.0
    design[np.arange(len(design)), 6 + train.indices[is_rated]] = 1.0
    expected = np.linalg.solve(design.T @ design + 2.0 * np.eye(11), design.T @ (ratings - ratings.mean()))
    np.testing.assert_allclose(np.concatenate([found.of_queries, found.of_candidates]), expected, atol=1e-6)
    np.testing.assert_allclose(
        found(np.array([1, 2]), np.array([0, 4])), ratings.mean() + expected[[1, 2]] + [expected[6], 0.0]
    )


def test_without_any_rating_all_is_zero():
    train = log()
    train.columns["rating"][:] = np.nan
    found = rating_biases(train, 3.0)
    assert found.mean == 3.0 and not found.of_queries.any() and not found.of_candidates.any()


def test_a_large_log_is_read_in_blocks(monkeypatch):
    expected = rating_biases(log(), 3.0)
    monkeypatch.setattr(interactions, "BLOCK_ROWS", 3)
    assert len(list(log().blocks())) > 2
    found = rating_biases(log(), 3.0)
    np.testing.assert_allclose(found.of_queries, expected.of_queries)
    np.testing.assert_allclose(found.of_candidates, expected.of_candidates)
