"""What gives every candidate a score: any function of query rows, or two tables of vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfmmrec.search.masked_top_k import Ranked, masked_top_k
from tfmmrec.search.top_k import block_size_for
from tfmmrec.types import UsageError

Scorer = Callable[[np.ndarray], "tf.Tensor | np.ndarray"]
"""Query rows int32 `[batch]` -> scores float32 `[batch, num_candidates]`; −inf is never recommended."""


class VectorsScorer:
    """Scores are dot products of two tables of vectors.

    Args:
        query_vectors: float32 `[num_queries, dim]`.
        candidate_vectors: float32 `[num_candidates, dim]`.

    Raises:
        UsageError: shapes that do not fit each other, or a vector that is not finite.
    """

    def __init__(self, query_vectors: np.ndarray, candidate_vectors: np.ndarray):
        self.query_vectors = np.asarray(query_vectors, np.float32)
        self.candidate_vectors = np.asarray(candidate_vectors, np.float32)
        shapes = self.query_vectors.shape, self.candidate_vectors.shape
        if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][1]:
            raise UsageError(
                "query_vectors must be [num_queries, dim] and candidate_vectors [num_candidates, dim], got "
                f"{list(shapes[0])} and {list(shapes[1])}"
            )
        for name, vectors in (("query", self.query_vectors), ("candidate", self.candidate_vectors)):
            if not np.isfinite(np.sum(vectors, dtype=np.float64)):
                row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
                raise UsageError(
                    f"{name}_vectors, row {row}: every number must be finite, but one is not; the model has "
                    "diverged (lower the learning rate or clip gradients)"
                )
        self._candidates = tf.constant(self.candidate_vectors.T)  # [dim, num_candidates]: multiplies faster

    @property
    def num_candidates(self) -> int:
        """Columns of the scores."""
        return len(self.candidate_vectors)

    def check(self, num_queries: int, num_candidates: int) -> None:
        """Refuses tables of other lengths.

        Raises:
            UsageError: says which.
        """
        found, wanted = (len(self.query_vectors), self.num_candidates), (num_queries, num_candidates)
        if found != wanted:
            raise UsageError(
                f"the dataset has {wanted[0]} queries and {wanted[1]} candidates, but there are {found[0]} "
                f"query vectors and {found[1]} candidate vectors; give one vector for each row, in the order "
                "of the tables"
            )

    def __call__(self, query_rows: np.ndarray) -> tf.Tensor:
        return tf.matmul(self.query_vectors[query_rows], self._candidates)

    def within(self, columns: np.ndarray) -> VectorsScorer:
        """The scorer of some of the candidates, int `[n]`, in that order."""
        return VectorsScorer(self.query_vectors, self.candidate_vectors[columns])

    def ranked(self, query_rows: np.ndarray, seen: np.ndarray, positives: np.ndarray, k: int) -> Ranked:
        """`masked_top_k` of these queries' scores in one graph, which never copies the scores."""
        block_size = block_size_for(self.num_candidates, k + 1)
        return _ranked_product(self.query_vectors[query_rows], self._candidates, seen, positives, k, block_size)


def vectors_scorer(query_vectors: np.ndarray, candidate_vectors: np.ndarray) -> VectorsScorer:
    """The scorer of a retrieval model, from all its vectors; see `VectorsScorer`."""
    return VectorsScorer(query_vectors, candidate_vectors)


def ranked(scores: tf.Tensor | np.ndarray, seen: np.ndarray, positives: np.ndarray, k: int) -> Ranked:
    """`masked_top_k` of scores `[batch, num_candidates]` that some scorer gave.

    Raises:
        UsageError: a score is NaN.
    """
    scores = tf.cast(scores, tf.float32)
    result, invalid = _ranked_scores(scores, seen, positives, k, block_size_for(scores.shape[1], k + 1))
    if bool(invalid):
        raise UsageError(
            "the scorer gave scores that are NaN; its model has diverged (lower the learning rate or clip gradients)"
        )
    return result


# Every size is a tensor or open, so that each graph is traced once in a process, whatever is evaluated.
_PAIRS = tf.TensorSpec([None, 2], tf.int32)
_SIZE = tf.TensorSpec([], tf.int32)
_MATRIX = tf.TensorSpec([None, None], tf.float32)


@tf.function(input_signature=[_MATRIX, _MATRIX, _PAIRS, _PAIRS, _SIZE, _SIZE], autograph=False)
def _ranked_product(query_vectors, candidate_vectors, seen, positives, k, block_size):
    scores = tf.matmul(query_vectors, candidate_vectors)  # [batch, num_candidates]
    return masked_top_k(scores, seen, positives, k, block_size, in_place=True)


@tf.function(input_signature=[_MATRIX, _PAIRS, _PAIRS, _SIZE, _SIZE], autograph=False)
def _ranked_scores(scores, seen, positives, k, block_size):
    invalid = tf.reduce_any(tf.math.is_nan(scores))
    return masked_top_k(scores, seen, positives, k, block_size), invalid
