"""What words mean in a catalogue, from the texts they stand in together: no training, no download."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from tfmmrec.singular_vectors import largest_singular_vectors


def latent_semantics(
    words: np.ndarray, word_weights: np.ndarray, dim: int, seed: int = 0, max_dense: int = 2**22
) -> np.ndarray:
    """Word vectors by latent semantic analysis (Deerwester et al. 1990).

    The right singular vectors of the matrix of texts, each a unit vector of its words' weights: a text's vector, the
    weighted sum of its words' vectors, keeps as much of the texts' inner products as `dim` numbers can.

    Args:
        words: int32 `[texts, max_words]`, places in the vocabulary, -1 = none.
        word_weights: `[vocabulary]`, their inverse document frequencies.
        dim: size of the vectors.
        seed: of the start of the iteration.
        max_dense: up to so many entries the matrix is decomposed whole.

    Returns:
        float32 `[vocabulary, dim]`; directions that the texts do not have are zero.
    """
    size = len(word_weights)
    rows, places = np.nonzero(words >= 0)
    codes = words[rows, places]
    counted = scipy.sparse.csr_matrix((word_weights[codes], (rows, codes)), shape=(len(words), size), dtype=np.float64)
    lengths = np.sqrt(np.bincount(rows, np.square(word_weights[codes]), minlength=len(words)))
    texts = scipy.sparse.diags(1.0 / np.maximum(lengths, 1e-12)) @ counted
    rank = min(dim, *texts.shape)
    if texts.shape[0] * texts.shape[1] <= max_dense or rank >= min(texts.shape):
        _, values, right = np.linalg.svd(texts.toarray(), full_matrices=False)
    else:
        start = np.random.default_rng(seed).standard_normal(min(texts.shape))
        values, right = largest_singular_vectors(texts, rank, start)
    found = right[:rank] * (values[:rank, None] > 1e-9 * max(values.max(initial=0.0), 1e-12))
    # a direction's sign is arbitrary: the largest entry is made positive, so that every machine gives the same
    signs = np.sign(found[np.arange(len(found)), np.abs(found).argmax(axis=1)])
    vectors = np.zeros((size, dim), np.float32)
    vectors[:, : len(found)] = (found * np.where(signs == 0, 1.0, signs)[:, None]).T
    return vectors
