"""Training batches of one row per query, for losses over all of a query's candidates."""

from __future__ import annotations

import numpy as np

from tfmmrec.data.batches import BatchStream, Tables, gather
from tfmmrec.data.interactions import Interactions


class QueryBatches(BatchStream):
    """One row per query: a part of its candidates is its history, the others are its targets.

    The parts are disjoint: a target is never in the history that predicts it. With timestamps the history is the
    newest before a random moment and the targets are what came after; without, both are drawn at random. A batch
    holds `query` (with `history`) and `targets` `[batch, num_candidates]`, uint8 counts, or float32 sums of weights.

    Args:
        interactions: the rows; queries with fewer than two are left out when there is a history.
        query_tables: preprocessed query features.
        batch_size: queries in a global batch.
        history_length: at most so many candidates in a history; 0 for none: all are targets.
        input_share: the share of a query's candidates that goes to the history is drawn between these two.
        seed: of the order and of the parts.
        num_groups: replicas, which a batch is divided among.
    """

    def __init__(
        self,
        interactions: Interactions,
        query_tables: Tables,
        batch_size: int,
        history_length: int = 0,
        input_share: tuple[float, float] = (0.2, 0.8),
        seed: int = 0,
        num_groups: int = 1,
    ):
        least = 2 if history_length else 1
        self.queries = np.flatnonzero(np.diff(interactions.indptr) >= least).astype(np.int64)
        super().__init__(self.queries.size, batch_size, seed, num_groups)
        self.interactions = interactions
        self.query_tables = query_tables
        self.history_length = history_length
        self.input_share = input_share
        self.timed = "timestamp" in interactions.columns

    def batch(self, step: int, groups: range | None = None) -> dict:
        places, random = self._places(step)
        queries = self.queries[places]
        start = self.interactions.indptr[queries]
        sizes = self.interactions.indptr[queries + 1] - start
        owner = np.repeat(np.arange(queries.size), sizes)  # batch row of each entry
        within = np.arange(owner.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        entries = np.repeat(start, sizes) + within
        share = random.uniform(*self.input_share, queries.size)
        draw = random.random(owner.size)
        if self.history_length:
            num_inputs = np.clip(np.round(share * sizes).astype(np.int64), 1, sizes - 1)
        else:
            num_inputs = np.zeros_like(sizes)
        if not self.timed and self.history_length:
            num_inputs = np.minimum(num_inputs, self.history_length)
            entries = entries[np.lexsort((draw, owner))]  # a random order inside each query
        first, last = self._own_rows(groups)
        own = (owner >= first) & (owner < last)
        entries, owner, within, num_inputs = entries[own], owner[own] - first, within[own], num_inputs[first:last]
        is_target = within >= num_inputs[owner]
        query = gather(self.query_tables, queries[first:last])
        targets = self._targets(entries[is_target], owner[is_target], last - first)
        if self.history_length:
            rows = self._histories(entries, owner, within, num_inputs, is_target)
            # a pair that stands in the log twice may have fallen on both sides: the target wins
            again = np.take_along_axis(targets, np.maximum(rows, 0), axis=1) > 0
            query["history"] = {"rows": np.where(again, -1, rows).astype(np.int32)}
        return {"query": query, "targets": targets}

    def _histories(self, entries, owner, within, num_inputs, is_target) -> np.ndarray:
        age = num_inputs[owner] - 1 - within  # 0 = newest
        kept = ~is_target & (age < self.history_length)
        rows = np.full((num_inputs.size, self.history_length), -1, np.int32)
        rows[owner[kept], age[kept]] = self.interactions.indices[entries[kept]]
        return rows

    def _targets(self, entries: np.ndarray, owner: np.ndarray, num_rows: int) -> np.ndarray:
        weight = self.interactions.columns.get("weight")
        candidates = self.interactions.indices[entries]
        shape = (num_rows, self.interactions.num_candidates)
        if weight is None:
            targets = np.zeros(shape, np.uint8)
            targets[owner, candidates] = 1
        else:
            targets = np.zeros(shape, np.float32)
            np.add.at(targets, (owner, candidates), weight[entries])
        return targets
