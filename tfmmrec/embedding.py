"""From a dataset's raw features to the tables that training and evaluation gather from, and to vectors."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmmrec.data.batches import Tables, gather
from tfmmrec.data.dataset import Entities, Interactions
from tfmmrec.data.histories import full_histories
from tfmmrec.data.media import MediaError
from tfmmrec.encoders.encoder import Encoder
from tfmmrec.schema import MEDIA_KINDS, Feature
from tfmmrec.towers import Tower
from tfmmrec.types import Embedded

_MEMORY_LIMIT_BYTES = 512 * 2**20
_ROWS_AT_A_TIME = {"audio": 32, "video": 16}  # which are large: 5 MB for half a minute in stereo, or for 64 frames
Progress = Callable[[str, int, int], None]
"""Called with (what, rows done, rows in all)."""


def raw_batch(
    entities: Entities,
    name: str,
    feature: Feature | None,
    rows: np.ndarray,
    is_list: bool = False,
    faults: dict[int, MediaError] | None = None,
) -> np.ndarray:
    """One feature's raw values of some rows, as its encoder's `preprocess` takes them.

    Args:
        entities: candidates or queries.
        name: the feature; "id" is the id itself.
        feature: its description, None for "id".
        rows: int rows `[batch]`.
        is_list: the raw value is a list of strings.
        faults: gets what is wrong with each row whose picture, sound or video cannot be used.

    Returns:
        Array `[batch, ...]`: strings and bytes as objects ("" where missing), numbers and vectors as float32.
    """
    if name == "id":
        return _strings(entities.ids.take(pa.array(rows)))
    column = entities.features[name]
    if feature.kind in MEDIA_KINDS:
        return np.array(entities.media_bytes(name, rows, feature.kind, faults), dtype=object)
    if feature.kind in ("number", "vector"):
        return np.asarray(column[rows], np.float32)
    values = column.take(pa.array(rows))
    if not is_list:
        return _strings(values)
    padded = np.full((len(rows), feature.max_values), "", dtype=object)
    for i, row in enumerate(values.to_pylist()):
        kept = [value for value in row or [] if value is not None][: feature.max_values]
        padded[i, : len(kept)] = kept
    return padded


def _strings(values: pa.Array) -> np.ndarray:
    return np.array([value or "" for value in values.to_pylist()], dtype=object)


def raw_inputs(tower: Tower, entities: Entities, features: Mapping[str, Feature], rows: np.ndarray) -> dict:
    """A tower's raw inputs for some rows, history aside: feature -> array `[batch, ...]`."""
    return {
        name: raw_batch(entities, name, features.get(name), rows, is_list=len(encoder.raw_spec().shape) > 1)
        for name, encoder in sorted(tower.encoders.items())
        if name != "history"
    }


def preprocess_entities(
    tower: Tower,
    entities: Entities,
    features: Mapping[str, Feature],
    cached: tuple[str, ...] = (),
    only: tuple[str, ...] | None = None,
    batch_size: int = 512,
    progress: Progress | None = None,
    store_dtype: str = "float32",
) -> dict[str, dict[str, np.ndarray]]:
    """Preprocesses a whole side once. Vectors of cached pretrained encoders come from the feature store.

    Args:
        tower: whose encoders do it.
        entities: the side's table.
        features: its features.
        cached: features whose encoder runs to the end: their table holds `vector` and `present`, see `cacheable`.
        only: just these features; all when None.
        batch_size: rows at a time.
        progress: told what has been done.
        store_dtype: float32 or float16, what the feature store keeps.

    Returns:
        Feature -> tensor name -> array `[num_rows, ...]`. Arrays beyond 512 MiB lie on disk, memory-mapped.
    """
    tables = {}
    names = [name for name in sorted(tower.encoders) if name != "history" and (only is None or name in only)]
    for name in names:
        encoder = tower.encoders[name]
        is_list = len(encoder.raw_spec().shape) > 1

        size = min(batch_size, _ROWS_AT_A_TIME.get(features[name].kind, batch_size)) if name in features else batch_size

        def batches(name=name, is_list=is_list, size=size) -> Iterator[np.ndarray]:
            for start in range(0, len(entities.ids), size):
                rows = np.arange(start, min(start + size, len(entities.ids)))
                yield raw_batch(entities, name, features.get(name), rows, is_list)
                if progress is not None:
                    progress(name, int(rows[-1]) + 1, len(entities.ids))

        if name in cached and encoder.handle is not None:
            from tfmmrec.stored_encoding import stored_table  # imports tensorflow_hub: only for those who use it

            tables[name] = stored_table(encoder, batches(), len(entities.ids), dtype=store_dtype)
            if encoder.centering is not None and encoder.centering.built:
                center(tables[name], encoder.centering.mean.numpy())
            continue
        keep = partial(cacheable, terms=tower.reads_terms) if name in cached else None
        tables[name] = _run(encoder, batches(), len(entities.ids), keep)
    return tables


def cacheable(embedded: Embedded, terms: bool) -> dict[str, tf.Tensor]:
    """What tables of a cached feature hold: `vector [batch, dim]`, float32, `present [batch]`, and terms if asked."""
    kept = ("present", *(("terms", "term_weights") if terms else ()))
    return {"vector": tf.cast(embedded["vector"], tf.float32)} | {key: embedded[key] for key in kept if key in embedded}


def center(table: Mapping[str, np.ndarray], mean: np.ndarray, batch_size: int = 4096) -> None:
    """Subtracts a mean `[dim]` from a table's `vector`, in place, where there is one: see `MeanCentering`."""
    for start in range(0, len(table["vector"]), batch_size):
        rows = slice(start, start + batch_size)
        table["vector"][rows] -= np.where(table["present"][rows, None], mean, np.float32(0.0))


def _run(encoder: Encoder, batches: Iterator[np.ndarray], num_rows: int, keep) -> dict[str, np.ndarray]:
    spec = encoder.raw_spec()

    @tf.function(input_signature=[spec], reduce_retracing=True)
    def preprocess(raw: tf.Tensor) -> dict[str, tf.Tensor]:
        tensors = encoder.preprocess(raw)
        return tensors if keep is None else keep(encoder(tensors, training=False))

    arrays: dict[str, np.ndarray] = {}
    done = 0
    for raw in batches:
        for key, tensor in preprocess(tf.constant(raw, spec.dtype)).items():
            value = tensor.numpy()
            if key not in arrays:
                arrays[key] = _allocate((num_rows, *value.shape[1:]), value.dtype)
            arrays[key][done : done + len(value)] = value
        done += len(raw)
    return arrays


def _allocate(shape: tuple[int, ...], dtype) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= _MEMORY_LIMIT_BYTES:
        return np.empty(shape, dtype)
    with tempfile.NamedTemporaryFile(prefix="tfmmrec-table-") as file:  # unlinked at once: lives as long as its mapping
        return np.memmap(Path(file.name), dtype, "w+", shape=shape)


class Embedder:
    """Vectors of all candidates and of queries; its graphs are traced once and serve every epoch.

    Args:
        model: a retrieval model.
        query_tables: preprocessed query features.
        candidate_tables: preprocessed candidate features.
        num_candidates: how many candidates there are.
        history_length: the cap of a history; 0 when the model has none.
        seed: of the choice where a query has more candidates than the cap and there are no timestamps.
    """

    def __init__(
        self,
        model,
        query_tables: Tables,
        candidate_tables: Tables,
        num_candidates: int,
        history_length: int = 0,
        seed: int = 0,
    ):
        self.model = model
        self.query_tables = query_tables
        self.candidate_tables = candidate_tables
        self.num_candidates = num_candidates
        self.history_length = history_length
        self.seed = seed
        self._embed_candidates = tf.function(
            lambda inputs: tf.cast(model.embed_candidates(inputs, training=False), tf.float32), reduce_retracing=True
        )
        self._embed_history = tf.function(
            lambda inputs: tf.cast(model.embed_history(inputs, training=False), tf.float32), reduce_retracing=True
        )
        self._embed_queries = tf.function(
            lambda inputs, table: tf.cast(model.embed_queries(inputs, table, training=False), tf.float32),
            reduce_retracing=True,
        )

    def candidates(self, batch_size: int = 4096) -> np.ndarray:
        """All candidates' vectors, float32 `[num_candidates, dim]`, each embedded once."""
        return self._over_candidates(self._embed_candidates, batch_size)

    def history_vectors(self, batch_size: int = 4096) -> np.ndarray | None:
        """What histories pool, float32 `[num_candidates, history_dim]`; None where that is the candidates' vectors."""
        if not self.history_length or getattr(self.model, "history_tower", None) is None:
            return None
        return self._over_candidates(self._embed_history, batch_size)

    def _over_candidates(self, embed, batch_size: int) -> np.ndarray:
        parts = []
        for start in range(0, self.num_candidates, batch_size):
            rows = np.arange(start, min(start + batch_size, self.num_candidates))
            parts.append(embed(gather(self.candidate_tables, rows)).numpy())
        return np.concatenate(parts)

    def queries(
        self,
        rows: np.ndarray,
        candidate_vectors: np.ndarray,
        history: Interactions | None = None,
        batch_size: int = 2048,
    ) -> np.ndarray:
        """Queries' vectors, float32 `[len(rows), dim]`.

        Args:
            rows: which queries, int `[n]`.
            candidate_vectors: `[num_candidates, dim]`, from `candidates`; what histories pool, unless the model has a
                tower of its own for that.
            history: where the histories come from (train), None for empty ones.
            batch_size: queries at a time.
        """
        pooled = self.history_vectors()
        table = tf.constant(candidate_vectors if pooled is None else pooled)
        parts = []
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            inputs = gather(self.query_tables, part)
            if self.history_length:
                histories = np.full((len(part), self.history_length), -1, np.int32)
                if history is not None:
                    histories = full_histories(history, part, self.history_length, self.seed)
                inputs["history"] = {"rows": histories}
            parts.append(self._embed_queries(inputs, table).numpy())
        return np.concatenate(parts)
