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
    (such as the cold candidates) the depth is counted among the pool's own.

    Args:
        retriever: all vectors of a retrieval model.
        ranker: scores of pairs.
        depth: how many of each query's candidates the ranker scores.
        columns: the candidates, int `[n]`, that the retriever's vectors belong to; all of them when None.

    Raises:
        UsageError: a depth below 1.
    """

    def __init__(
        self, retriever: VectorsScorer, ranker: PairScores, depth: int = DEPTH, columns: np.ndarray | None = None
    ):
        if depth < 1:
            raise UsageError(f"depth, how many candidates are ranked anew, must be at least 1, got {depth}")
        self.retriever = retriever
        self.ranker = ranker
        self.depth = depth
        self.columns = np.arange(retriever.num_candidates) if columns is None else np.asarray(columns)

    @property
    def num_candidates(self) -> int:
        """Columns of the scores."""
        return self.retriever.num_candidates

    def check(self, num_queries: int, num_candidates: int) -> None:
        """Refuses a retriever's tables of other lengths; see `VectorsScorer.check`."""
        self.retriever.check(num_queries, num_candidates)

    def within(self, columns: np.ndarray) -> CascadeScorer:
        """The cascade among some of the candidates, int `[n]`, in that order."""
        return CascadeScorer(self.retriever.within(columns), self.ranker, self.depth, self.columns[columns])

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
        if seen is not None and len(seen):
            scores = tf.tensor_scatter_nd_update(scores, seen, tf.fill([len(seen)], -float("inf")))
        length = min(self.depth, self.num_candidates)
        values, columns = (tensor.numpy() for tensor in two_stage_top_k(scores, length))  # [batch, length]
        owners, places = np.nonzero(values > -np.inf)
        chosen = columns[owners, places]  # [num_pairs]
        logits = self._pairs(np.asarray(query_rows)[owners], self.columns[chosen])
        lowest = np.full(len(values), np.inf, np.float32)
        with np.errstate(invalid="ignore"):  # NaN stays NaN, which `ranked` refuses
            np.minimum.at(lowest, owners, logits)
        beneath = np.where(np.isfinite(lowest), np.minimum(lowest - 1, np.nextafter(lowest, np.float32(-np.inf))), 0)
        ends = values[:, -1]  # where the others begin: none is higher
        gaps = scores - np.where(np.isfinite(ends), ends, 0)[:, None].astype(np.float32)
        others = gaps + beneath[:, None].astype(np.float32)
        return tf.tensor_scatter_nd_update(others, np.stack([owners, chosen], axis=1).astype(np.int32), logits)

    def _pairs(self, query_rows: np.ndarray, candidate_rows: np.ndarray) -> np.ndarray:
        parts = [np.zeros(0, np.float32)]
        for start in range(0, len(query_rows), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            found = self.ranker(query_rows[part].astype(np.int32), candidate_rows[part].astype(np.int32))
            parts.append(np.asarray(found, np.float32))
        return np.concatenate(parts)
