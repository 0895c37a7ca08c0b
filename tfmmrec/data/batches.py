"""Training batches, each a pure function of (seed, step).

A stream draws its rows through a computed permutation, so it holds nothing but the compact interactions and the
preprocessed tables it gathers from, and goes on from any step: a resumed run sees the batches it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.data.dataset import Interactions
from tfmmrec.data.permutation import Permutation
from tfmmrec.types import UsageError

Tables = Mapping[str, Mapping[str, np.ndarray]]
"""Feature -> tensor name -> array `[rows, ...]`: a side's preprocessed features."""


def gather(tables: Tables, rows: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """The tables' entries at `rows`; a negative row (padding) takes row 0's."""
    rows = np.maximum(rows, 0)
    return {
        feature: {name: np.ascontiguousarray(array[rows]) for name, array in arrays.items()}
        for feature, arrays in tables.items()
    }


class BatchStream:
    """Batches by step, and as a `tf.data.Dataset` of static shapes.

    Attributes:
        batch_size: rows in a (global) batch.
        steps_per_epoch: batches in one pass; the rows of an incomplete last batch wait for the next pass, whose order
            differs.
        num_prefetched: batches that are made ahead.
    """

    num_prefetched = 4

    def __init__(self, num_rows: int, batch_size: int, seed: int):
        if num_rows < 1:
            raise UsageError("there is nothing to train on: no query has an interaction in train")
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, got {batch_size}")
        self.num_rows = num_rows
        self.batch_size = min(batch_size, num_rows)
        self.steps_per_epoch = num_rows // self.batch_size
        self.seed = seed

    def _places(self, step: int) -> tuple[np.ndarray, np.random.Generator]:
        epoch, within = divmod(step, self.steps_per_epoch)
        order = Permutation(self.num_rows, self.seed, epoch)
        places = order(np.arange(within * self.batch_size, (within + 1) * self.batch_size))
        return places, np.random.default_rng((self.seed, 1, step))

    def batch(self, step: int) -> dict:
        """The batch of one step, as arrays."""
        raise NotImplementedError(f"{type(self).__name__} has no batch")

    def dataset(self, start_step: int = 0) -> tf.data.Dataset:
        """Endless batches from `start_step` on, made on tf.data's threads."""
        example = self.batch(0)
        flat = tf.nest.flatten(example)
        dtypes = [array.dtype for array in flat]

        def make(step: np.int64) -> list[np.ndarray]:
            return tf.nest.flatten(self.batch(int(step)))

        def load(step: tf.Tensor) -> dict:
            tensors = tf.numpy_function(make, [step], dtypes, stateful=False)
            for tensor, array in zip(tensors, flat, strict=True):
                tensor.set_shape(array.shape)
            return tf.nest.pack_sequence_as(example, tensors)

        steps = tf.data.Dataset.counter(start_step)
        return steps.map(load, num_parallel_calls=2, deterministic=True).prefetch(self.num_prefetched)


def unique_capacity(counts: np.ndarray, batch_size: int) -> int:
    """A number of different candidates that hardly any batch exceeds: six standard deviations above the mean.

    A batch is a random part of the rows, of fixed size. Were each row in it by a coin of its own, with chance f, a
    candidate with c rows would be missing with chance q = (1 − f)^c; given the size, what the size explains of the
    variance goes off (Holst 1979, "A unified approach to limit theorems for urn models").

    Args:
        counts: int `[num_candidates]`, rows of each candidate.
        batch_size: rows of a batch, not more than there are.
    """
    counts = counts[counts > 0].astype(np.float64)
    share = batch_size / counts.sum()
    missing = (1.0 - share) ** counts
    variance = float(missing @ (1.0 - missing))
    if share < 1.0:
        variance -= share * float(counts @ missing) ** 2 / (counts.sum() * (1.0 - share))
    bound = counts.size - missing.sum() + 6.0 * math.sqrt(max(variance, 0.0))
    return min(batch_size, counts.size, -(-math.ceil(bound) // 64) * 64)  # products like round sizes


class InteractionBatches(BatchStream):
    """One row per interaction.

    A batch holds `query` (feature -> tensors `[batch, ...]`), `candidate` (the batch's different candidates, padded to
    the static size `[unique, ...]`), `candidate_rows` int32 `[unique]` (-1 = padding), `positive` int32 `[batch]`
    (each row's place among them), `weight` float32 `[batch]` and `query_rows` int32 `[batch]`; of a log with ratings
    also `rating` float32 `[batch]` (NaN = none). The static size is no larger than different candidates need, see
    `unique_capacity`; in a rare batch that needs more, the rows of those that find no place weigh nothing.

    Args:
        interactions: the rows.
        query_tables: preprocessed query features.
        candidate_tables: preprocessed candidate features; leave out what the model keeps itself.
        batch_size: rows in a global batch.
        history_length: adds `query["history"]["rows"]` int32 `[batch, history_length]`, -1 padded, when positive:
            what came before the row where there are timestamps, else a random window of the query's others. The row's
            own candidate is never among them.
        seed: of the order and of the histories.
        num_groups: replicas; every replica's share of the batch gets its own unique candidates, so that a batch
            splits along the first dimension.
    """

    def __init__(
        self,
        interactions: Interactions,
        query_tables: Tables,
        candidate_tables: Tables,
        batch_size: int,
        history_length: int = 0,
        seed: int = 0,
        num_groups: int = 1,
    ):
        super().__init__(interactions.num_rows, batch_size, seed)
        self.batch_size -= self.batch_size % num_groups
        if self.batch_size < 1:
            raise UsageError(f"batch_size {batch_size} gives {num_groups} replicas nothing to do; raise it")
        self.steps_per_epoch = self.num_rows // self.batch_size
        self.num_groups = num_groups
        self.interactions = interactions
        self.query_tables = query_tables
        self.candidate_tables = candidate_tables
        self.history_length = history_length
        self.timed = "timestamp" in interactions.columns
        self.group_size = self.batch_size // num_groups
        self.unique_size = unique_capacity(interactions.counts(), self.group_size)

    def batch(self, step: int) -> dict:
        places, random = self._places(step)
        queries = np.searchsorted(self.interactions.indptr, places, side="right") - 1
        candidates = self.interactions.indices[places]
        weight = self.interactions.columns.get("weight")
        weight = np.ones(places.size, np.float32) if weight is None else np.asarray(weight[places], np.float32)
        unique = np.full((self.num_groups, self.unique_size), -1, np.int32)
        positive = np.empty(self.batch_size, np.int32)
        for group in range(self.num_groups):
            rows = slice(group * self.group_size, (group + 1) * self.group_size)
            found, positive[rows] = np.unique(candidates[rows], return_inverse=True)
            unique[group, : found.size] = found[: self.unique_size]
        weight[positive >= self.unique_size] = 0.0
        positive[positive >= self.unique_size] = 0
        unique = unique.reshape(-1)
        query = gather(self.query_tables, queries)
        if self.history_length:
            query["history"] = {"rows": self._histories(places, queries, candidates, random)}
        batch = {"query": query, "candidate": gather(self.candidate_tables, unique), "candidate_rows": unique}
        batch |= {"positive": positive, "weight": weight, "query_rows": queries.astype(np.int32)}
        if "rating" in self.interactions.columns:
            batch["rating"] = np.asarray(self.interactions.columns["rating"][places], np.float32)
        return batch

    def _histories(self, places, queries, candidates, random) -> np.ndarray:
        start, end = self.interactions.indptr[queries], self.interactions.indptr[queries + 1]
        steps = np.arange(1, self.history_length + 1)
        if self.timed:  # newest first: the row before, the one before that, ...
            wanted = places[:, None] - steps
            valid = wanted >= start[:, None]
        else:  # a window of the query's others, from a random one on, past the end back to the start
            others = np.maximum(end - start - 1, 1)
            first = random.integers(0, others)
            offset = 1 + (first[:, None] + steps - 1) % others[:, None]
            wanted = start[:, None] + (places[:, None] - start[:, None] + offset) % (end - start)[:, None]
            valid = steps <= (end - start - 1)[:, None]
        rows = self.interactions.indices[np.where(valid, wanted, 0)]
        return np.where(valid & (rows != candidates[:, None]), rows, -1).astype(np.int32)


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
    """

    def __init__(
        self,
        interactions: Interactions,
        query_tables: Tables,
        batch_size: int,
        history_length: int = 0,
        input_share: tuple[float, float] = (0.2, 0.8),
        seed: int = 0,
    ):
        least = 2 if history_length else 1
        self.queries = np.flatnonzero(np.diff(interactions.indptr) >= least).astype(np.int64)
        super().__init__(self.queries.size, batch_size, seed)
        self.interactions = interactions
        self.query_tables = query_tables
        self.history_length = history_length
        self.input_share = input_share
        self.timed = "timestamp" in interactions.columns

    def batch(self, step: int) -> dict:
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
        is_target = within >= num_inputs[owner]
        query = gather(self.query_tables, queries)
        targets = self._targets(entries[is_target], owner[is_target])
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

    def _targets(self, entries: np.ndarray, owner: np.ndarray) -> np.ndarray:
        weight = self.interactions.columns.get("weight")
        candidates = self.interactions.indices[entries]
        shape = (self.batch_size, self.interactions.num_candidates)
        if weight is None:
            targets = np.zeros(shape, np.uint8)
            targets[owner, candidates] = 1
        else:
            targets = np.zeros(shape, np.float32)
            np.add.at(targets, (owner, candidates), weight[entries])
        return targets


def full_histories(interactions: Interactions, queries: np.ndarray, length: int, seed: int = 0) -> np.ndarray:
    """The histories for validation, test and serving: all the query's training candidates, each once, capped.

    Args:
        interactions: train.
        queries: int rows `[batch]`.
        length: the cap. With timestamps the newest are kept; without, a seeded choice.

    Returns:
        int32 `[batch, length]`, newest first, -1 padded.
    """
    rows = np.full((len(queries), length), -1, np.int32)
    timed = "timestamp" in interactions.columns
    for i, query in enumerate(queries):
        candidates = _newest_of_each(interactions.candidates_of(int(query)))
        if candidates.size > length and not timed:
            chosen = np.sort(np.random.default_rng((seed, int(query))).permutation(candidates.size)[:length])
            candidates = candidates[chosen]
        kept = candidates[-length:][::-1]
        rows[i, : kept.size] = kept
    return rows


def _newest_of_each(candidates: np.ndarray) -> np.ndarray:
    """Rows `[n]`, oldest first, without those that come again later."""
    newest_first = candidates[::-1]
    different, places = np.unique(newest_first, return_index=True)
    return candidates if different.size == candidates.size else newest_first[np.sort(places)][::-1]
