"""Latent semantics of words."""

from __future__ import annotations

import numpy as np
import pytest

from tfmmrec.latent_semantics import latent_semantics

WORDS = np.array([[0, 1, -1], [1, 0, 0], [2, 3, -1], [3, 2, 3], [-1, -1, -1]], np.int32)
WEIGHTS = np.array([1.0, 2.0, 1.0, 1.5])


def texts() -> np.ndarray:
    """The texts as unit vectors of their words' weights, `[5, 4]`; by occurrences, as the encoder weighs them."""
    rows = np.zeros((5, 4))
    for text, words in zip(rows, WORDS, strict=True):
        given = words[words >= 0]
        np.add.at(text, given, WEIGHTS[given])
        text /= max(np.sqrt(np.square(WEIGHTS[given]).sum()), 1e-12)
    return rows


def test_with_room_enough_the_inner_products_of_texts_are_kept():
    vectors = texts() @ latent_semantics(WORDS, WEIGHTS, dim=6)
    assert vectors.shape == (5, 6)
    np.testing.assert_allclose(vectors @ vectors.T, texts() @ texts().T, atol=1e-6)


def test_with_two_directions_they_are_the_best_two():
    found = latent_semantics(WORDS, WEIGHTS, dim=2)
    _, _, right = np.linalg.svd(texts(), full_matrices=False)
    np.testing.assert_allclose(found @ found.T, right[:2].T @ right[:2], atol=1e-6)
    # words that stand together are near each other, and far from the others
    assert found[0] @ found[1] > 0.4 > 0.01 > abs(found[0] @ found[2])


@pytest.mark.parametrize("dim", [1, 3])
def test_large_and_small_matrices_give_the_same(dim):
    whole = latent_semantics(WORDS, WEIGHTS, dim)
    iterated = latent_semantics(WORDS, WEIGHTS, dim, max_dense=0)
    np.testing.assert_allclose(iterated, whole, atol=1e-5)


def test_without_a_word_every_vector_is_zero():
    found = latent_semantics(np.full((3, 2), -1, np.int32), WEIGHTS, dim=2)
    assert found.shape == (4, 2) and not found.any()
