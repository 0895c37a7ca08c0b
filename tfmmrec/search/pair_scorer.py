"""Scores of a ranking model, whose network runs once for each pair."""

from __future__ import annotations

import copy

import numpy as np
import tensorflow as tf

from tfmmrec.types import UsageError

CHUNK_SIZE = 8192  # pairs in a run: enough to keep the processor busy, few enough for its cache


class PairScorer:
    """Scores pairs of rows by `model.score_pairs`, so many at a time, all by one graph.

    Args:
        model: a ranking model.
        query_parts: float32 `[num_queries, query_dim]`.
        candidate_parts: float32 `[num_candidates, candidate_dim]`.
        chunk_size: pairs in a run of the graph; None for what suits the model.

    Raises:
        UsageError: parts that are no matrices, or a chunk size below 1.
    """

    def __init__(self, model, query_parts: np.ndarray, candidate_parts: np.ndarray, chunk_size: int | None = None):
        if chunk_size is None:
            chunk_size = getattr(model, "pairs_at_once", None) or CHUNK_SIZE
        if chunk_size < 1:
            raise UsageError(f"chunk_size must be at least 1, got {chunk_size}")
        self.model = model
        self.chunk_size = chunk_size
        self._take(query_parts, candidate_parts)

        def score(query_parts, candidate_parts, query_rows, candidate_rows):
            query, candidate = tf.gather(query_parts, query_rows), tf.gather(candidate_parts, candidate_rows)
            return model.score_pairs(query, candidate, training=False)

        rows = tf.TensorSpec([chunk_size], tf.int32)
        tables = [tf.TensorSpec([None, table.shape[1]], tf.float32) for table in self._tables]
        self._score = tf.function(score, input_signature=[*tables, rows, rows], autograph=False)

    def _take(self, query_parts: np.ndarray, candidate_parts: np.ndarray) -> None:
        tables = [np.asarray(parts, np.float32) for parts in (query_parts, candidate_parts)]
        if any(table.ndim != 2 for table in tables):
            raise UsageError(
                "query_parts must be [num_queries, query_dim] and candidate_parts [num_candidates, candidate_dim], got "
                f"{list(tables[0].shape)} and {list(tables[1].shape)}"
            )
        self._tables = [tf.constant(table) for table in tables]

    @property
    def num_candidates(self) -> int:
        """Columns of the scores."""
        return int(self._tables[1].shape[0])

    def with_parts(self, query_parts: np.ndarray, candidate_parts: np.ndarray) -> PairScorer:
        """A scorer of other parts of the same sizes by the same graph, as after more training."""
        other = copy.copy(self)
        other._take(query_parts, candidate_parts)
        return other

    def pairs(self, query_rows: np.ndarray, candidate_rows: np.ndarray) -> np.ndarray:
        """Rows int `[n]` and `[n]`, one by one a pair -> logits float32 `[n]`.

        Raises:
            UsageError: not as many rows of the one as of the other, or a row that is not there.
        """
        rows = [np.asarray(rows) for rows in (query_rows, candidate_rows)]
        if rows[0].ndim != 1 or rows[0].shape != rows[1].shape:
            raise UsageError(
                f"pairs take as many query rows as candidate rows, got {list(rows[0].shape)} and {list(rows[1].shape)}"
            )
        for name, side, table in zip(("query", "candidate"), rows, self._tables, strict=True):
            if side.size and not (0 <= side.min() and side.max() < table.shape[0]):
                raise UsageError(f"a {name} row must lie in [0, {table.shape[0]}), got {side.min()} to {side.max()}")
        found = np.empty(rows[0].size, np.float32)
        for start in range(0, found.size, self.chunk_size):
            chunk = [side[start : start + self.chunk_size].astype(np.int32) for side in rows]
            padding = self.chunk_size - chunk[0].size
            scores = self._score(*self._tables, *(np.pad(side, (0, padding)) for side in chunk))
            found[start : start + self.chunk_size] = scores.numpy()[: chunk[0].size]
        return found

    def __call__(self, query_rows: np.ndarray) -> np.ndarray:
        """Query rows int `[batch]` -> logits of all candidates, float32 `[batch, num_candidates]`."""
        query_rows = np.asarray(query_rows)
        queries = np.repeat(query_rows, self.num_candidates)
        candidates = np.tile(np.arange(self.num_candidates, dtype=np.int32), query_rows.size)
        return self.pairs(queries, candidates).reshape(query_rows.size, self.num_candidates)
