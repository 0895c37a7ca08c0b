"""Two stages as one scorer: a retriever's best candidates, put in the order of a ranking model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfmmrec.search.masked_top_k import Ranked
from tfmmrec.search.scorer import PoolScorer, VectorsScorer, ranked
from tfmmrec.search.top_k import two_stage_top_k
from tfmmrec.types import UsageError

DEPTH = 200
"""How many candidates of each query the second stage looks at."""

PAIRS_AT_ONCE = 2**16

PairScores = Callable[[np.ndarray, np.ndarray], "tf.Tensor | np.ndarray"]
"""Query rows int32 `[n]`, candidate rows int32 `[n]` -> scores float32 `[n]`, such as `PairScorer.pairs`."""


class CascadeScorer(PoolScorer):
    """The retriever's `depth` best unseen candidates by the ranker's scores, all others beneath them.

    What the ranker has scored keeps those scores. The others keep the retriever's order and its ties: they stand at
    least 1 beneath the lowest score of the ranker, as far apart as the retriever has them. So every candidate has a
    place, and metrics of the whole ranking are defined. Seen candidates are taken out before the cut, and in a pool
    (such as the cold candidates) the depth is counted among the pool's own. For a query that the retriever knows
    nothing of, whose candidates it scores all alike, their popularity stands in for its scores.

    Args:
        retriever: all vectors of a retrieval model.
        ranker: scores of pairs.
        depth: how many of each query's candidates the ranker scores.
        columns: the candidates, int `[n]`, that the retriever's vectors belong to; all of them when None.
        popularity: of those, `[n]`, such as how often each was chosen; all alike when None.

    Raises:
        UsageError: a depth below 1.
    """

    def __init__(
        self,
        retriever: VectorsScorer,
        ranker: PairScores,
        depth: int = DEPTH,
        columns: np.ndarray | None = None,
        popularity: np.ndarray | None = None,
    ):
        if depth < 1:
            raise UsageError(f"depth, how many candidates are ranked anew, must be at least 1, got {depth}")
        self.retriever = retriever
        self.ranker = ranker
        self.depth = depth
        self.columns = np.arange(retriever.num_candidates) if columns is None else np.asarray(columns)
        self.popularity = np.zeros(retriever.num_candidates) if popularity is None else np.asarray(popularity)

    @property
    def num_candidates(self) -> int:
        """Columns of the scores."""
        return self.retriever.num_candidates

    def check(self, num_queries: int, num_candidates: int) -> None:
        """Refuses a retriever's tables of other lengths; see `VectorsScorer.check`."""
        self.retriever.check(num_queries, num_candidates)

    def within(self, columns: np.ndarray) -> CascadeScorer:
        """The cascade among some of the candidates, int `[n]`, in that order."""
        kept = self.columns[columns], self.popularity[columns]
        return CascadeScorer(self.retriever.within(columns), self.ranker, self.depth, *kept)

    def ranked(self, query_rows: np.ndarray, seen: np.ndarray, positives: np.ndarray, k: int) -> Ranked:
        """The heads of these queries' rankings; see `PoolScorer.ranked`."""
        return ranked(self(query_rows, seen), seen, positives, k)

    def __call__(self, query_rows: np.ndarray, seen: np.ndarray | None = None) -> tf.Tensor:
        """Scores float32 `[batch, num_candidates]` of query rows `[batch]`.

        Args:
            query_rows: int `[batch]`.
            seen: int32 `[num_seen, 2]`, pairs (place in `query_rows`, column), which do not count for the depth and
                score −inf; none when None.
        """
        scores = tf.cast(self.retriever(query_rows), tf.float32)  # [batch, num_candidates]
        scores = or_popularity(scores, tf.constant(self.popularity, tf.float32))
        if seen is not None and len(seen):
            scores = tf.tensor_scatter_nd_update(scores, seen, tf.fill([len(seen)], -float("inf")))
        length = min(self.depth, self.num_candidates)
        values, columns = (tensor.numpy() for tensor in two_stage_top_k(scores, length))  # [batch, length]
        owners, places = np.nonzero(values > -np.inf)
        chosen = columns[owners, places]  # [num_pairs]
        logits = self._pairs(np.asarray(query_rows)[owners], self.columns[chosen])
        places = np.stack([owners, chosen], axis=1).astype(np.int32)
        return ranked_anew(scores, values[:, -1], places, logits)

    def _pairs(self, query_rows: np.ndarray, candidate_rows: np.ndarray) -> np.ndarray:
        parts = [np.zeros(0, np.float32)]
        for start in range(0, len(query_rows), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            found = self.ranker(query_rows[part].astype(np.int32), candidate_rows[part].astype(np.int32))
            parts.append(np.asarray(found, np.float32))
        return np.concatenate(parts)


def or_popularity(scores: tf.Tensor, popularity: tf.Tensor) -> tf.Tensor:
    """Scores `[batch, num_candidates]`, and the popularity `[num_candidates]` in rows whose scores are all the same."""
    tells = tf.reduce_max(scores, axis=1, keepdims=True) > tf.reduce_min(scores, axis=1, keepdims=True)
    return tf.where(tells, scores, popularity)


def ranked_anew(scores: tf.Tensor, ends: tf.Tensor, places: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The ranker's scores where it has looked, and beneath them the retriever's, as far apart as they were.

    Args:
        scores: float32 `[batch, num_candidates]`, the retriever's, −inf for what is out.
        ends: float32 `[batch]`, the lowest of each row's scores that the ranker has looked at, or −inf.
        places: int32 `[n, 2]`, pairs (row, column) that it has looked at.
        logits: float32 `[n]`, what it gives them.
    """
    lowest = tf.math.unsorted_segment_min(logits, places[:, 0], tf.shape(scores)[0])  # [batch]
    gaps = scores - tf.where(tf.math.is_finite(ends), ends, 0.0)[:, None]
    return tf.tensor_scatter_nd_update(gaps + beneath(lowest)[:, None], places, logits)


def beneath(lowest: tf.Tensor) -> tf.Tensor:
    """What stands at least 1 beneath each row's lowest score of the ranker `[batch]`; 0 where it has looked at none, of
    which the lowest is the type's largest number.
    """
    under = tf.minimum(lowest - 1.0, tf.math.nextafter(lowest, -float("inf")))
    return tf.where(tf.math.is_finite(lowest) & (lowest < lowest.dtype.max), under, 0.0)
