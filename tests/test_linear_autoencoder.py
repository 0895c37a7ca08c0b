import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from tfmmrec import linear_autoencoder
from tfmmrec.linear_autoencoder import (
    factors_bytes,
    gram_matrix,
    inverse_in_place,
    linear_factors,
    zero_diagonal_weights,
)

SIZE = 7
CHOSEN = (np.random.default_rng(0).random((20, SIZE)) < 0.4).astype(np.float64)
CHOSEN[:, 3] = 0.0  # nobody chose it
CHOSEN[5] = 0.0  # chose nothing


def plain_weights(dropout, l2, exponent):
    """B of the paper, and the weighted X."""
    weighted = CHOSEN / np.maximum(CHOSEN.sum(axis=1, keepdims=True), 1.0) ** exponent
    gram = weighted.T @ weighted
    diagonal = np.diag(gram)
    inverse = np.linalg.inv(gram + np.diag(dropout / (1 - dropout) * diagonal + l2 * diagonal.mean()))
    return np.eye(SIZE) - inverse / np.diag(inverse), weighted


@pytest.mark.parametrize("options", [(0.5, 1.0, 0.25), (0.0, 0.1, 0.0), (0.8, 2.0, 1.0)])
def test_at_full_rank_the_factors_are_the_closed_form(options):
    expected, _ = plain_weights(*options)
    found = linear_factors(sp.csr_matrix(CHOSEN), SIZE, *options)
    np.testing.assert_allclose(np.diag(expected), 0.0, atol=1e-12)
    np.testing.assert_allclose(found.reading @ found.scoring.T, expected, atol=1e-5)
    np.testing.assert_allclose(found.scoring.T @ found.scoring, np.eye(SIZE), atol=1e-6)
    np.testing.assert_allclose(found.reading[3], 0.0, atol=1e-6)


def test_it_predicts_each_candidate_from_the_others_when_each_is_dropped_at_random():
    """Over all ways to drop entries, weighted by their probability, no other weights have a smaller error."""
    dropout, l2 = 0.3, 0.5
    penalty = l2 * CHOSEN.sum() / SIZE  # λ · mean(diag(G))
    masks = np.array(list(itertools.product([0.0, 1.0], repeat=SIZE - 1)))  # [2 ** (SIZE − 1), SIZE − 1]
    probability = np.prod(np.where(masks > 0, 1 - dropout, dropout), axis=1)
    expected = np.zeros((SIZE, SIZE))
    for column in range(SIZE):
        others = np.delete(np.arange(SIZE), column)
        system, right = penalty * np.eye(SIZE - 1), np.zeros(SIZE - 1)
        for mask, share in zip(masks, probability, strict=True):
            left = CHOSEN[:, others] * mask / (1 - dropout)  # what is left counts for what is dropped
            system += share * left.T @ left
            right += share * left.T @ CHOSEN[:, column]
        expected[others, column] = np.linalg.solve(system, right)
    found = linear_factors(sp.csr_matrix(CHOSEN), SIZE, dropout, l2, exponent=0.0)
    np.testing.assert_allclose(found.reading @ found.scoring.T, expected, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 3])
def test_of_all_matrices_of_the_rank_its_predictions_are_the_nearest(rank):
    weights, weighted = plain_weights(0.5, 1.0, 0.25)
    predicted = weighted @ weights
    found = linear_factors(sp.csr_matrix(CHOSEN), rank)
    assert found.reading.shape == found.scoring.shape == (SIZE, rank)
    assert found.reading.dtype == found.scoring.dtype == np.float32

    def error(matrix):
        return np.linalg.norm(predicted - weighted @ matrix)

    least = np.linalg.norm(np.linalg.svd(predicted, compute_uv=False)[rank:])  # of any matrix of the rank
    assert error(found.reading @ found.scoring.T) == pytest.approx(least, rel=1e-5)
    left, values, right = np.linalg.svd(weights)
    assert error(left[:, :rank] * values[:rank] @ right[:rank]) > 1.001 * least  # nearest to B, not to X B
    random = np.random.default_rng(1)
    for _ in range(20):
        assert error(random.normal(size=(SIZE, rank)) @ random.normal(size=(rank, SIZE))) > least


def test_a_direction_has_one_sign():
    scoring = linear_factors(sp.csr_matrix(CHOSEN), 4).scoring
    assert (scoring[np.abs(scoring).argmax(axis=0), np.arange(4)] > 0).all()


def test_factors_beyond_the_number_of_candidates_are_zero():
    whole, padded = (linear_factors(sp.csr_matrix(CHOSEN), rank) for rank in (SIZE, SIZE + 3))
    for one, other in ((whole.reading, padded.reading), (whole.scoring, padded.scoring)):
        assert other.shape == (SIZE, SIZE + 3) and not other[:, SIZE:].any()
        np.testing.assert_allclose(other[:, :SIZE], one, atol=1e-6)


def test_where_nothing_was_chosen_nothing_is_read():
    found = linear_factors(sp.csr_matrix((4, 3)), 2)
    np.testing.assert_array_equal(found.reading, 0.0)
    assert np.isfinite(found.scoring).all()


@pytest.mark.parametrize("block", [3, 1024])
def test_blocks_do_not_matter(block, monkeypatch):
    monkeypatch.setattr(linear_autoencoder, "_BLOCK", block)
    gram = gram_matrix(sp.csr_matrix(CHOSEN))
    np.testing.assert_array_equal(gram, CHOSEN.T @ CHOSEN)
    penalised = gram + np.eye(SIZE)
    expected = np.linalg.inv(penalised)
    np.testing.assert_allclose(inverse_in_place(penalised.copy()), expected, atol=1e-12)
    weights = zero_diagonal_weights(penalised.copy())
    np.testing.assert_allclose(weights, np.eye(SIZE) - expected / np.diag(expected), atol=1e-12)


def test_what_has_no_inverse_is_refused():
    with pytest.raises(np.linalg.LinAlgError, match="the matrix is not positive definite at row 1"):
        zero_diagonal_weights(np.ones((3, 3)))


def test_its_need_for_memory():
    assert factors_bytes(20_000) == 4 * 8 * 20_000**2  # G, G + Λ, G B and BᵀG B
