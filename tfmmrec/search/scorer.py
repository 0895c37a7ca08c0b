"""What gives every candidate a score: any function of query rows, or two tables of vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfmmrec.search.masked_top_k import Ranked, masked_top_k
from tfmmrec.search.top_k import block_size_for
from tfmmrec.types import UsageError

CHUNK_BYTES = 24 * 2**20  # of scores, which are then ranked while the processor's cache still holds them

Scorer = Callable[[np.ndarray], "tf.Tensor | np.ndarray"]
"""Query rows int32 `[batch]` -> scores float32 `[batch, num_candidates]`; −inf is never recommended."""


class PoolScorer(ABC):
    """A scorer that ranks by itself: among any pool of candidates, and told what is seen."""

    @property
    @abstractmethod
    def num_candidates(self) -> int:
        """Columns of the scores."""

    @abstractmethod
    def check(self, num_queries: int, num_candidates: int) -> None:
        """Refuses a dataset of other lengths, by a UsageError."""

    @abstractmethod
    def within(self, columns: np.ndarray) -> PoolScorer:
        """The scorer of some of the candidates, int `[n]`, in that order."""

    @abstractmethod
    def ranked(self, query_rows: np.ndarray, seen: np.ndarray, positives: np.ndarray, k: int) -> Ranked:
        """The heads of these queries' rankings.

        Args:
            query_rows: int `[batch]`.
            seen: int32 `[num_seen, 2]`, pairs (place in `query_rows`, column), in the order of their places.
            positives: int32 `[num_positives, 2]`, the same.
            k: length of the heads.
        """

    @abstractmethod
    def __call__(self, query_rows: np.ndarray) -> tf.Tensor:
        """Query rows int `[batch]` -> scores float32 `[batch, num_candidates]`."""


class VectorsScorer(PoolScorer):
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
        self._columns = tf.constant(self.candidate_vectors.T)  # [dim, num_candidates]: multiplies faster

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
        return tf.matmul(self.query_vectors[query_rows], self._columns[:, : self.num_candidates])

    def within(self, columns: np.ndarray) -> VectorsScorer:
        """The scorer of some of the candidates, int `[n]`, in that order."""
        return VectorsScorer(self.query_vectors, self.candidate_vectors[columns])

    def ranked(self, query_rows: np.ndarray, seen: np.ndarray, positives: np.ndarray, k: int) -> Ranked:
        """`masked_top_k` of these queries' scores, a few queries at a time, in a graph that never copies them; see
        `PoolScorer.ranked`.
        """
        block_size = block_size_for(max(self.num_candidates, 1), k + 1)
        columns = self._columns_for(block_size)
        # where the table is too large for that, enough for reading it to pay, but no more scores than it has numbers
        size = max(CHUNK_BYTES // (4 * max(columns.shape[1], 1)), min(64, self.query_vectors.shape[1]), 1)
        size = max(1, min(size, (2**31 - 1) // max(columns.shape[1], 1)))  # places in the scores are int32
        num_chunks = max(1, -(-len(query_rows) // size))
        bounds = np.linspace(0, len(query_rows), num_chunks + 1, dtype=np.int32)
        bounds = np.stack([bounds, np.searchsorted(seen[:, 0], bounds), np.searchsorted(positives[:, 0], bounds)])
        arrays = self.query_vectors[query_rows], columns, seen, positives, self.num_candidates, k, block_size
        tensors = [tf.convert_to_tensor(array) for array in arrays]
        rank = _ranked_product.get_concrete_function()
        heads = [
            Ranked(*rank(*tensors, tf.constant(bounds[:, chunk : chunk + 2], tf.int32))) for chunk in range(num_chunks)
        ]
        return heads[0] if num_chunks == 1 else Ranked(*(tf.concat(parts, 0) for parts in zip(*heads, strict=True)))

    def _columns_for(self, block_size: int) -> tf.Tensor:
        """The candidates `[dim, columns]`, padded to a whole number of blocks once, which scores need not be then."""
        columns = self._columns
        if columns.shape[1] % block_size:
            padding = -self.num_candidates % block_size
            columns = self._columns = tf.pad(columns[:, : self.num_candidates], [(0, 0), (0, padding)])
        return columns


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


@tf.function(
    input_signature=[_MATRIX, _MATRIX, _PAIRS, _PAIRS, _SIZE, _SIZE, _SIZE, tf.TensorSpec([3, 2], tf.int32)],
    autograph=False,
)
def _ranked_product(query_vectors, candidate_vectors, seen, positives, num_candidates, k, block_size, bounds):
    """The chunk of queries, seen and positives that `bounds` tells; columns from `num_candidates` on are padding."""
    (start, seen_start, asked_start), (end, seen_end, asked_end) = (
        tf.unstack(side) for side in tf.unstack(bounds, axis=1)
    )
    first = tf.stack([start, 0])
    scores = tf.matmul(query_vectors[start:end], candidate_vectors)  # [chunk, num_columns]
    padding = tf.meshgrid(tf.range(end - start), tf.range(num_candidates, tf.shape(scores)[1]))
    out = tf.concat([seen[seen_start:seen_end] - first, tf.reshape(tf.stack(padding, axis=2), [-1, 2])], axis=0)
    head = masked_top_k(scores, out, positives[asked_start:asked_end] - first, k, block_size, in_place=True)
    return head._replace(columns=tf.where(head.columns < num_candidates, head.columns, -1))


@tf.function(input_signature=[_MATRIX, _PAIRS, _PAIRS, _SIZE, _SIZE], autograph=False)
def _ranked_scores(scores, seen, positives, k, block_size):
    invalid = tf.reduce_any(tf.math.is_nan(scores))
    return masked_top_k(scores, seen, positives, k, block_size), invalid
