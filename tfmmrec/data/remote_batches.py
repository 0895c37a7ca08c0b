"""Training batches made of stock operations alone, by a process that has only files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfmmrec.data.batches import InteractionBatches
from tfmmrec.types import UsageError


class RemoteBatches:
    """What `InteractionBatches` makes, as a graph that any TensorFlow server can run.

    A worker of a training with parameter servers runs graphs and no Python. Its graph reads the log and the
    preprocessed tables once, from files that all see, keeps them in memory and makes batches of them: with the keys,
    shapes and rules of `InteractionBatches`, in an order of its own (`tf.random.experimental.index_shuffle`).

    A batch is a function of the seed and its number. Of W workers each makes every W-th batch of a pass, and every
    pass has another order: no two take the same row in a pass, and what a lost worker would have taken comes to the
    others in a later one; one that comes back makes its batches from `start_step` on again.

    Args:
        stream: of one replica; its log, tables, sizes and seed are taken.
        folder: where `write` puts the arrays; absolute, and the same on every machine.

    Raises:
        UsageError: a feature's table holds strings, or the stream is divided between replicas.
    """

    def __init__(self, stream: InteractionBatches, folder: Path):
        if stream.num_groups > 1:
            raise UsageError(f"a worker makes batches for one replica, got {stream.num_groups}; start one for each GPU")
        self.stream = stream
        self.folder = Path(folder)
        self.arrays = _arrays(stream)
        for path, array in _flat(self.arrays):
            if array.dtype.kind in "OSU":
                raise UsageError(f"{'/'.join(path)} holds strings, which no file of numbers keeps; take mode 'cached'")

    def write(self) -> None:
        """Writes the arrays, little-endian and without headers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path, array in _flat(self.arrays):
            np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tofile(self._file(path))

    def dataset(self, start_step: int = 0, worker: tf.Tensor | int = 0, num_workers: int = 1) -> tf.data.Dataset:
        """One worker's endless batches; nothing is read before the first is asked for.

        Args:
            start_step: how many batches all of them have made before.
            worker: int64 scalar, which this is, from 0; may be known only to the worker itself.
            num_workers: how many there are.
        """
        first = start_step // num_workers * num_workers + tf.cast(worker, tf.int64)

        def batches(first: tf.Tensor, arrays: Mapping[str, Any]) -> tf.data.Dataset:
            numbers = tf.data.Dataset.counter(first, num_workers)
            return numbers.map(lambda number: self._batch(number, arrays), num_parallel_calls=2, deterministic=True)

        read = tf.data.Dataset.from_tensors(first).map(lambda first: (first, self._read()))
        return read.flat_map(batches).prefetch(self.stream.num_prefetched)

    def _file(self, path: tuple[str, ...]) -> str:
        return str(self.folder / f"{'.'.join(path)}.bin")

    def _read(self) -> dict[str, Any]:
        def read(path: tuple[str, ...], array: np.ndarray) -> tf.Tensor:
            values = tf.io.decode_raw(tf.io.read_file(self._file(path)), tf.as_dtype(array.dtype))
            return tf.reshape(values, array.shape)

        return _mapped(read, self.arrays)

    def _batch(self, number: tf.Tensor, arrays: Mapping[str, Any]) -> dict[str, Any]:
        stream, size = self.stream, self.stream.batch_size
        epoch, within = number // stream.steps_per_epoch, number % stream.steps_per_epoch
        places = tf.random.experimental.index_shuffle(
            within * size + tf.range(size, dtype=tf.int64), tf.stack([stream.seed, epoch]), stream.num_rows - 1
        )
        queries = tf.searchsorted(arrays["indptr"], places, side="right", out_type=tf.int64) - 1
        candidates = tf.gather(arrays["indices"], places)
        unique, positive = tf.unique(candidates)  # [any], [batch]
        unique = tf.concat([unique[: stream.unique_size], tf.fill([stream.unique_size], -1)], 0)[: stream.unique_size]
        unique = tf.ensure_shape(unique, [stream.unique_size])
        weight = tf.gather(arrays["weight"], places) if "weight" in arrays else tf.ones([size])
        has_place = positive < stream.unique_size
        query = tf.nest.map_structure(lambda table: tf.gather(table, queries), arrays["query"])
        if stream.history_length:
            query["history"] = {"rows": self._histories(number, places, queries, candidates, arrays)}
        batch = {
            "query": query,
            "candidate": tf.nest.map_structure(lambda t: tf.gather(t, tf.maximum(unique, 0)), arrays["candidate"]),
            "candidate_rows": unique,
            "positive": tf.where(has_place, positive, 0),
            "weight": tf.where(has_place, weight, 0.0),
            "query_rows": tf.cast(queries, tf.int32),
        }
        if "rating" in arrays:
            batch["rating"] = tf.gather(arrays["rating"], places)
        return batch

    def _histories(self, number, places, queries, candidates, arrays) -> tf.Tensor:
        """As `InteractionBatches` has them: int32 `[batch, history_length]`."""
        start, end = tf.gather(arrays["indptr"], queries), tf.gather(arrays["indptr"], queries + 1)
        steps = tf.range(1, self.stream.history_length + 1, dtype=tf.int64)
        if self.stream.timed:  # newest first: the row before, the one before that, ...
            wanted = places[:, None] - steps
            valid = wanted >= start[:, None]
        else:  # a window of the query's others, from a random one on, past the end back to the start
            others = tf.maximum(end - start - 1, 1)
            seed = tf.stack([tf.constant(self.stream.seed, tf.int64), number])
            drawn = tf.random.stateless_uniform([self.stream.batch_size], seed, 0, 2**62, tf.int64)
            offset = 1 + ((drawn % others)[:, None] + steps - 1) % others[:, None]
            wanted = start[:, None] + (places[:, None] - start[:, None] + offset) % (end - start)[:, None]
            valid = steps <= (end - start - 1)[:, None]
        rows = tf.gather(arrays["indices"], tf.where(valid, wanted, 0))
        return tf.where(valid & (rows != candidates[:, None]), rows, -1)


def _arrays(stream: InteractionBatches) -> dict[str, Any]:
    log = stream.interactions
    columns = {name: np.asarray(log.columns[name], np.float32) for name in ("weight", "rating") if name in log.columns}
    tables = {"query": stream.query_tables, "candidate": stream.candidate_tables}
    plain = {side: {name: dict(arrays) for name, arrays in table.items()} for side, table in tables.items()}
    return {"indptr": log.indptr, "indices": log.indices} | columns | plain


def _flat(arrays: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], np.ndarray]]:
    found = []
    for name, part in arrays.items():
        found += _flat(part, (*path, name)) if isinstance(part, Mapping) else [((*path, name), part)]
    return found


def _mapped(function, arrays: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        name: _mapped(function, part, (*path, name)) if isinstance(part, Mapping) else function((*path, name), part)
        for name, part in arrays.items()
    }
