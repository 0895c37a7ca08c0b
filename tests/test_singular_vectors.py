import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from tfmmrec.singular_vectors import largest_singular_vectors

RANK = 20


def sparse(seed: int = 0) -> np.ndarray:
    """Rows that have hardly anything in common: many directions are about equally good."""
    random = np.random.default_rng(seed)
    matrix = np.zeros((400, 300))
    np.add.at(matrix, (np.arange(400)[:, None], random.integers(0, 300, (400, 3))), 1.0)
    return matrix


def found_in(matrix, **options):
    start = np.random.default_rng(1).standard_normal(min(matrix.shape))
    return largest_singular_vectors(scipy.sparse.csr_matrix(matrix), RANK, start, **options)


def test_they_are_those_of_the_whole_decomposition_the_largest_first():
    matrix = sparse()
    _, expected, _ = np.linalg.svd(matrix)
    values, right = found_in(matrix)
    np.testing.assert_allclose(values, expected[:RANK], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(matrix @ right.T, axis=0), values, rtol=1e-6)
    np.testing.assert_allclose(right @ right.T, np.eye(RANK), atol=1e-6)


def test_where_the_iteration_does_not_settle_the_next_tolerance_is_nearly_as_good(monkeypatch):
    svds, asked = scipy.sparse.linalg.svds, []

    def impatient(*arguments, tol, **options):
        asked.append(tol)
        return svds(*arguments, tol=tol, maxiter=2 if tol < 1e-3 else None, **options)

    monkeypatch.setattr(scipy.sparse.linalg, "svds", impatient)
    matrix = sparse()
    _, right = found_in(matrix, tolerances=(0.0, 1e-7, 1e-2))
    assert asked == [0.0, 1e-7, 1e-2]
    np.testing.assert_allclose(right @ right.T, np.eye(RANK), atol=1e-3)
    best = np.square(np.linalg.svd(matrix, compute_uv=False)[:RANK]).sum()
    assert np.square(matrix @ right.T).sum() > 0.98 * best
    with pytest.raises(scipy.sparse.linalg.ArpackNoConvergence):
        found_in(matrix, tolerances=(0.0, 1e-7))
