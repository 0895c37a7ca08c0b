"""Keeps the candidates that are hardest for each query."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmmrec.data.dataset import Interactions
from tfmmrec.embedding import Embedder
from tfmmrec.losses.mined_negatives import MinedNegatives
from tfmmrec.search.top_k import two_stage_top_k
from tfmmrec.types import UsageError

_SCORES_AT_ONCE = 2**24


class MineNegatives(tf.keras.callbacks.Callback):
    """Fills the table of a model's `MinedNegatives` every so many steps (ANCE, Xiong et al. 2021).

    Args:
        embedder: embeds all candidates and queries with the model as it is.
        interactions: what is trained on: its candidates are mined, but none that the query has chosen.
        every_steps: how often; the table is also filled before the first step. A resumed training goes on with the
            table of its checkpoint.

    Raises:
        UsageError: an interval below 1.
    """

    def __init__(self, embedder: Embedder, interactions: Interactions, every_steps: int = 500):
        super().__init__()
        if every_steps < 1:
            raise UsageError(f"every_steps must be at least 1, got {every_steps}")
        self.embedder = embedder
        self.interactions = interactions
        self.every_steps = every_steps

    def on_train_begin(self, logs=None):
        if self._num_steps() == 0:
            self._mine()

    def on_train_batch_end(self, batch, logs=None):
        if self._num_steps() % self.every_steps == 0:
            self._mine()

    def _num_steps(self) -> int:
        return int(self.model.optimizer.iterations.numpy())

    def _mine(self) -> None:
        mined = mined_by(self.model)
        if mined is not None:
            mined.assign(hardest_candidates(self.embedder, self.interactions, mined.depth))


def mined_by(model: tf.keras.Model) -> MinedNegatives | None:
    """What draws a model's mined negatives; None where it has none."""
    sampler = getattr(model, "negative_sampler", None)
    return sampler if isinstance(sampler, MinedNegatives) else None


def hardest_candidates(embedder: Embedder, interactions: Interactions, depth: int) -> np.ndarray:
    """The highest-scoring candidates of each query that it has not chosen.

    Args:
        embedder: of all candidates and queries.
        interactions: what the queries have chosen. Candidates that none has chosen are left out, for they are no
            negatives in any other loss either; so are queries that have chosen nothing.
        depth: how many.

    Returns:
        int32 `[num_queries, depth]`, highest first, -1 padded.
    """
    found = np.full((interactions.num_queries, depth), -1, np.int32)
    query_rows = np.flatnonzero(np.diff(interactions.indptr) > 0)
    candidates = embedder.candidates()
    queries = embedder.queries(query_rows, candidates, interactions)
    never_chosen = interactions.counts() == 0
    kept = min(depth, len(candidates))
    size = max(1, _SCORES_AT_ONCE // len(candidates))
    for start in range(0, query_rows.size, size):
        part = query_rows[start : start + size]
        scores = queries[start : start + size] @ candidates.T  # [size, num_candidates]
        scores[:, never_chosen] = -np.inf
        for place, query in enumerate(part):
            scores[place, interactions.candidates_of(int(query))] = -np.inf
        values, columns = (tensor.numpy() for tensor in two_stage_top_k(tf.constant(scores), kept))
        found[part, :kept] = np.where(values > -np.inf, columns, -1)
    return found
