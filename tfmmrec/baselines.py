"""What a model has to beat: popularity, EASE, a linear ridge on content, and chance.

Each is a scorer: query rows int `[batch]` -> scores float32 `[batch, num_candidates]`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.linalg
import scipy.sparse as sp

from tfmmrec.data.dataset import Dataset, Entities
from tfmmrec.data.statistics import words_of
from tfmmrec.linear_autoencoder import gram_matrix, zero_diagonal_weights
from tfmmrec.memory import check_memory
from tfmmrec.schema import Feature
from tfmmrec.search.scorer import Scorer
from tfmmrec.types import UsageError

_REMEDY = "leave this baseline out, or raise max_bytes if the machine has the memory"


def most_popular(dataset: Dataset) -> Scorer:
    """Scores a candidate by its number of training interactions, the same for every query."""
    counts = dataset.train.counts().astype(np.float32)
    return lambda query_rows: np.tile(counts, (len(query_rows), 1))


def random_scorer(dataset: Dataset, seed: int = 0) -> Scorer:
    """Scores at random; a query's scores depend on the seed and its row alone."""
    num_candidates = len(dataset.candidates)
    return lambda query_rows: np.stack(
        [np.random.default_rng((seed, int(row))).random(num_candidates, np.float32) for row in query_rows]
    )


def ease(dataset: Dataset, l2: float = 500.0, max_bytes: int | None = None) -> Scorer:
    """A linear autoencoder without self-similarity (Steck 2019, "Embarrassingly shallow autoencoders").

    B = I − P / diag(P), P = (XᵀX + l2 · I)⁻¹, in closed form; the scores are X B. The need for memory is
    stated in the log before anything is allocated: 12 bytes for every pair of candidates.

    Args:
        dataset: its training interactions are X, 1 where a query chose a candidate.
        l2: the regularisation λ.
        max_bytes: refuse to need more; half of the memory that is available when None.

    Raises:
        UsageError: l2 is not positive, or too little memory.
    """
    _check_l2(l2)
    num_candidates = len(dataset.candidates)
    check_memory(f"ease over {num_candidates:,} candidates", 12 * num_candidates**2, max_bytes, _REMEDY)
    chosen = dataset.train.matrix()
    gram = gram_matrix(chosen)
    gram[np.diag_indices(num_candidates)] += l2
    weights = zero_diagonal_weights(gram).astype(np.float32)
    return lambda query_rows: chosen[query_rows] @ weights


def content_ridge(dataset: Dataset, l2: float = 20.0, max_bytes: int | None = None) -> Scorer:
    """A ridge regression for each query, from candidates' content to whether the query chose them.

    w = (FᵀF + l2 · I)⁻¹ Fᵀx over the candidates with training interactions, in the primal or the dual form,
    whichever is smaller; the score F w exists for cold candidates too. F holds categories (multi-hot),
    numbers (standardised), texts (TF-IDF with 1 + log(tf), unit length) and vectors (unit length), zero where
    missing.

    Args:
        dataset: its training interactions are x, its candidates' features F.
        l2: the regularisation; the default is the best on held-out movies of MovieLens-1M's training part.
        max_bytes: refuse to need more; half of the memory that is available when None.

    Raises:
        UsageError: no candidate has a feature with content, l2 is not positive, or too little memory.
    """
    _check_l2(l2)
    features = content_features(dataset)
    warm = np.flatnonzero(dataset.train.counts() > 0)
    size = min(features.shape[1], warm.size)
    check_memory(f"content_ridge with a system of {size:,} equations", 16 * size**2, max_bytes, _REMEDY)
    chosen = dataset.train.matrix()[:, warm]
    seen = features[warm]
    primal = features.shape[1] <= warm.size
    system = (seen.T @ seen if primal else seen @ seen.T).toarray()
    system[np.diag_indices(size)] += l2
    factor = scipy.linalg.cho_factor(system, lower=True, overwrite_a=True, check_finite=False)

    def score(query_rows: np.ndarray) -> np.ndarray:
        right = chosen[query_rows] @ seen if primal else chosen[query_rows]  # [batch, size]
        solved = scipy.linalg.cho_solve(factor, right.toarray().T, check_finite=False)  # [size, batch]
        weights = solved if primal else seen.T @ solved  # [num_features, batch]
        return (features @ weights).T.astype(np.float32)

    return score


def content_features(dataset: Dataset) -> sp.csr_matrix:
    """Candidates' content as numbers, float64 `[num_candidates, num_features]`; see `content_ridge`.

    Raises:
        UsageError: the candidates have no feature of kind category, number, text or vector.
    """
    makers = {"category": _categories, "number": _numbers, "text": _texts, "vector": _vectors}
    described = dataset.schema.candidates.features
    parts = [
        makers[feature.kind](dataset.candidates, name, feature)
        for name, feature in described.items()
        if feature.kind in makers
    ]
    if not parts:
        raise UsageError(
            "content_ridge needs a feature of the candidates of kind category, number, text or vector, found "
            f"{', '.join(f'{name}: {feature.kind}' for name, feature in described.items()) or 'none'}"
        )
    return sp.hstack(parts, format="csr", dtype=np.float64)


def _categories(candidates: Entities, name: str, feature: Feature) -> sp.csr_matrix:
    column = candidates.features[name]
    if feature.separator is not None:
        column = pc.split_pattern(column, feature.separator)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        rows, values = pc.list_parent_indices(column).to_numpy(), pc.list_flatten(column)
    else:
        rows, values = np.arange(len(column)), column
    values = pc.utf8_trim_whitespace(values)
    kept = pc.fill_null(pc.greater(pc.utf8_length(values), 0), False).to_numpy(zero_copy_only=False)
    encoded = values.filter(pa.array(kept)).dictionary_encode()
    matrix = _counted(rows[kept], encoded.indices.to_numpy(), (len(column), len(encoded.dictionary)))
    matrix.data[:] = 1.0
    return matrix


def _numbers(candidates: Entities, name: str, feature: Feature) -> sp.csr_matrix:
    values = np.asarray(candidates.features[name], np.float64)
    there = np.isfinite(values)
    standard = np.zeros(values.size)
    if there.any():
        standard[there] = (values[there] - values[there].mean()) / max(values[there].std(), 1e-12)
    return sp.csr_matrix(standard[:, None])


def _texts(candidates: Entities, name: str, feature: Feature) -> sp.csr_matrix:
    vocabulary: dict[str, int] = {}
    rows, columns = [], []
    texts = candidates.features[name].to_pylist()
    for row, text in enumerate(texts):
        words = [vocabulary.setdefault(word, len(vocabulary)) for word in words_of(text or "")]
        columns += words
        rows += [row] * len(words)
    matrix = _counted(np.array(rows, int), np.array(columns, int), (len(texts), len(vocabulary)))
    documents = np.bincount(matrix.indices, minlength=matrix.shape[1])
    # a word of one text teaches nothing about another
    matrix, documents = matrix[:, documents >= 2], documents[documents >= 2]
    matrix.data = 1.0 + np.log(matrix.data)
    return _unit_rows(matrix @ sp.diags(np.log((1 + len(texts)) / (1 + documents)) + 1.0))


def _vectors(candidates: Entities, name: str, feature: Feature) -> sp.csr_matrix:
    return _unit_rows(sp.csr_matrix(np.nan_to_num(np.asarray(candidates.features[name], np.float64))))


def _unit_rows(matrix: sp.csr_matrix) -> sp.csr_matrix:
    lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    return sp.csr_matrix(sp.diags(1.0 / np.where(lengths > 0, lengths, 1.0)) @ matrix)


def _counted(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sp.csr_matrix:
    matrix = sp.csr_matrix((np.ones(rows.size), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def _check_l2(l2: float) -> None:
    if not l2 > 0:
        raise UsageError(f"l2 must be positive, got {l2}")
