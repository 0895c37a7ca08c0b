"""Training batches, each a pure function of (seed, step).

A stream draws its rows through a computed permutation, so it holds nothing but the compact interactions and the
preprocessed tables it gathers from, and goes on from any step: a resumed run sees the batches it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.data.interactions import Interactions
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
        num_groups: equal parts of a batch, one for each replica of all workers; each is a part of every array's first
            dimension.
        num_prefetched: batches that are made ahead.
    """

    num_prefetched = 4

    def __init__(self, num_rows: int, batch_size: int, seed: int, num_groups: int = 1):
        if num_rows < 1:
            raise UsageError("there is nothing to train on: no query has an interaction in train")
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, got {batch_size}")
        size = min(batch_size, num_rows)
        if size < num_groups:
            raise UsageError(f"a batch of {size} rows gives {num_groups} replicas nothing to do; raise batch_size")
        self.num_rows = num_rows
        self.num_groups = num_groups
        self.batch_size = size - size % num_groups
        self.steps_per_epoch = num_rows // self.batch_size
        self.seed = seed

    def _places(self, step: int) -> tuple[np.ndarray, np.random.Generator]:
        epoch, within = divmod(step, self.steps_per_epoch)
        order = Permutation(self.num_rows, self.seed, epoch)
        places = order(np.arange(within * self.batch_size, (within + 1) * self.batch_size))
        return places, np.random.default_rng((self.seed, 1, step))

    def _own_rows(self, groups: range | None) -> tuple[int, int]:
        """First and behind the last row of a batch's groups, or of all."""
        size = self.batch_size // self.num_groups
        return (0, self.batch_size) if groups is None else (groups.start * size, groups.stop * size)

    def batch(self, step: int, groups: range | None = None) -> dict:
        """The batch of one step, as arrays; of it these groups only, or all."""
        raise NotImplementedError(f"{type(self).__name__} has no batch")

    def dataset(self, start_step: int = 0, groups: range | None = None) -> tf.data.Dataset:
        """Endless batches from `start_step` on, made on tf.data's threads; of each these groups only, or all."""
        example = self.batch(0, groups)
        flat = tf.nest.flatten(example)
        dtypes = [array.dtype for array in flat]

        def make(step: np.int64) -> list[np.ndarray]:
            return tf.nest.flatten(self.batch(int(step), groups))

        def load(step: tf.Tensor) -> dict:
            tensors = tf.numpy_function(make, [step], dtypes, stateful=False)
            for tensor, array in zip(tensors, flat, strict=True):
                tensor.set_shape(array.shape)
            return tf.nest.pack_sequence_as(example, tensors)

        steps = tf.data.Dataset.counter(start_step)
        return steps.map(load, num_parallel_calls=2, deterministic=True).prefetch(self.num_prefetched)

    def worker_dataset(self, start_step: int, worker: int, num_workers: int) -> tf.data.Dataset:
        """One worker's share, an element for each of its replicas in turn; what the others take is not made here.

        Args:
            start_step: the first batch.
            worker: its number, from 0.
            num_workers: all of them, with as many replicas each.
        """
        number = self.num_groups // num_workers

        def divided(array: tf.Tensor) -> tf.Tensor:
            return tf.reshape(array, [number, array.shape[0] // number, *array.shape[1:]])

        share = self.dataset(start_step, range(worker * number, (worker + 1) * number))
        return share.map(lambda *parts: tf.nest.map_structure(divided, parts if len(parts) > 1 else parts[0])).unbatch()


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
        super().__init__(interactions.num_rows, batch_size, seed, num_groups)
        self.interactions = interactions
        self.query_tables = query_tables
        self.candidate_tables = candidate_tables
        self.history_length = history_length
        self.timed = "timestamp" in interactions.columns
        self.group_size = self.batch_size // num_groups
        self.unique_size = unique_capacity(interactions.counts(), self.group_size)

    def batch(self, step: int, groups: range | None = None) -> dict:
        places, random = self._places(step)
        queries = np.searchsorted(self.interactions.indptr, places, side="right") - 1
        own = slice(*self._own_rows(groups))
        histories = self._histories(places, queries, random, own) if self.history_length else None
        places, queries = places[own], queries[own]
        candidates = self.interactions.indices[places]
        weight = self.interactions.columns.get("weight")
        weight = np.ones(places.size, np.float32) if weight is None else np.asarray(weight[places], np.float32)
        num_groups = places.size // self.group_size
        unique = np.full((num_groups, self.unique_size), -1, np.int32)
        positive = np.empty(places.size, np.int32)
        for group in range(num_groups):
            rows = slice(group * self.group_size, (group + 1) * self.group_size)
            found, positive[rows] = np.unique(candidates[rows], return_inverse=True)
            unique[group, : found.size] = found[: self.unique_size]
        weight[positive >= self.unique_size] = 0.0
        positive[positive >= self.unique_size] = 0
        unique = unique.reshape(-1)
        query = gather(self.query_tables, queries)
        if histories is not None:
            query["history"] = {"rows": histories}
        batch = {"query": query, "candidate": gather(self.candidate_tables, unique), "candidate_rows": unique}
        batch |= {"positive": positive, "weight": weight, "query_rows": queries.astype(np.int32)}
        if "rating" in self.interactions.columns:
            batch["rating"] = np.asarray(self.interactions.columns["rating"][places], np.float32)
        return batch

    def _histories(self, places, queries, random, own: slice) -> np.ndarray:
        start, end = self.interactions.indptr[queries], self.interactions.indptr[queries + 1]
        others = np.maximum(end - start - 1, 1)
        first = None if self.timed else random.integers(0, others)[own]  # drawn for all, so that each worker's agree
        places, start, end, others = places[own], start[own], end[own], others[own]
        steps = np.arange(1, self.history_length + 1)
        if self.timed:  # newest first: the row before, the one before that, ...
            wanted = places[:, None] - steps
            valid = wanted >= start[:, None]
        else:  # a window of the query's others, from a random one on, past the end back to the start
            offset = 1 + (first[:, None] + steps - 1) % others[:, None]
            wanted = start[:, None] + (places[:, None] - start[:, None] + offset) % (end - start)[:, None]
            valid = steps <= (end - start - 1)[:, None]
        rows = self.interactions.indices[np.where(valid, wanted, 0)]
        return np.where(valid & (rows != self.interactions.indices[places][:, None]), rows, -1).astype(np.int32)
