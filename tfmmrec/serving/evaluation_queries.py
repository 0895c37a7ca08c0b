"""Queries that an exported model is measured with, and that it carries along in `assets.extra/evaluation.parquet`.

One row a query: `query_id`; its features, pictures and the like as bytes; `history`, all that it chose in train, newest
first; `positives`, what it chose in the test and not in train. Which candidates are cold, which of the positives are
warm, and which candidates came later stands in the file's metadata. So a model can be measured where neither its
dataset nor its run are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tfmmrec.data.dataset import Dataset
from tfmmrec.data.entities import Entities
from tfmmrec.evaluation import cold_mask
from tfmmrec.schema import MEDIA_KINDS, Feature
from tfmmrec.serving.index import each_history
from tfmmrec.types import DataError, UsageError

EVALUATION_FILE = "assets.extra/evaluation.parquet"
MAX_QUERIES = 2000
_OWN_COLUMNS = ("query_id", "history", "positives")
_IN_METADATA = ("warm_ids", "cold_ids", "added_ids")
_FEATURE = "feature:"  # before the names of features' columns, so that none is taken for one of our own


@dataclass
class EvaluationQueries:
    """What is asked, and what should be found.

    Attributes:
        query_ids: `n` different ids.
        features: feature -> `[n]`: strings, lists of strings, numbers, lists of numbers (vectors), or the bytes of
            pictures, sounds and videos; null where missing.
        histories: of each query the ids that it has chosen, each once, newest first; they are seen, so nothing of them
            is to be found.
        positives: of each query the different ids that should be found, at least one.
        warm_ids: those of the positives that train has.
        cold_ids: all cold candidates, which the slice cold ranks among themselves.
        added_ids: candidates that came after the queries were drawn. Nobody can have chosen them, so they are left out
            of the rankings: they would only take places from what is to be found.
    """

    query_ids: list[str]
    features: dict[str, pa.Array] = field(default_factory=dict)
    histories: list[list[str]] = field(default_factory=list)
    positives: list[list[str]] = field(default_factory=list)
    warm_ids: list[str] = field(default_factory=list)
    cold_ids: list[str] = field(default_factory=list)
    added_ids: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.query_ids)


def evaluation_queries(
    dataset: Dataset, max_queries: int = MAX_QUERIES, seed: int = 0, history_length: int = 50
) -> EvaluationQueries:
    """Queries of a dataset's test, drawn without replacement from those with a positive that train does not have.

    Args:
        dataset: has a part test.
        max_queries: how many at most.
        seed: of the draw; where the log has no times also of which part of a long history comes first, so give the
            run's.
        history_length: how much of a history the model reads, for the same reason.

    Raises:
        UsageError: max_queries below 1.
        DataError: there is no test, or no query in it has such a positive.
    """
    if max_queries < 1:
        raise UsageError(f"max_queries must be at least 1, got {max_queries}")
    if dataset.test is None:
        raise DataError(
            f"{dataset.root or 'the dataset'}: has no part test, so there is nothing to measure an exported model "
            "with; give the log a split, or a file `interactions.test`"
        )
    positives = {}
    for query in np.random.default_rng(seed).permutation(np.flatnonzero(np.diff(dataset.test.indptr))):
        unseen = _unseen(dataset, int(query))
        if unseen.size:
            positives[int(query)] = unseen
        if len(positives) == max_queries:
            break
    if not positives:
        raise DataError("test is empty: no query has a candidate in it that train does not have already")
    rows = np.array(sorted(positives))
    cold = cold_mask(dataset)
    warm = np.intersect1d(np.flatnonzero((dataset.train.counts() > 0) & ~cold), np.concatenate([*positives.values()]))
    ids = dataset.candidates.ids
    return EvaluationQueries(
        dataset.queries.ids.take(pa.array(rows)).to_pylist(),
        _features(dataset.queries, dataset.schema.queries.features, rows),
        [ids.take(pa.array(chosen)).to_pylist() for chosen in each_history(dataset.train, rows, history_length, seed)],
        [ids.take(pa.array(positives[int(row)])).to_pylist() for row in rows],
        ids.take(pa.array(warm)).to_pylist(),
        ids.filter(pa.array(cold)).to_pylist(),
    )


def has_evaluation_queries(dataset: Dataset) -> bool:
    """Whether `evaluation_queries` finds any."""
    if dataset.test is None:
        return False
    queries = np.flatnonzero(np.diff(dataset.test.indptr))
    return any(_unseen(dataset, int(query)).size for query in queries)


def _unseen(dataset: Dataset, query: int) -> np.ndarray:
    return np.setdiff1d(dataset.test.candidates_of(query), dataset.train.candidates_of(query))


def without_candidates(queries: EvaluationQueries, removed: Sequence[str]) -> EvaluationQueries:
    """The queries where some candidates are no more: nobody can find those; who looks for nothing else is left out."""
    gone = set(removed)
    positives = [[id for id in row if id not in gone] for row in queries.positives]
    kept = [place for place, row in enumerate(positives) if row]
    return EvaluationQueries(
        [queries.query_ids[place] for place in kept],
        {name: column.take(pa.array(kept, pa.int64())) for name, column in queries.features.items()},
        [queries.histories[place] for place in kept],
        [positives[place] for place in kept],
        [id for id in queries.warm_ids if id not in gone],
        [id for id in queries.cold_ids if id not in gone],
        [id for id in queries.added_ids if id not in gone],
    )


def with_added(queries: EvaluationQueries, added: Sequence[str]) -> EvaluationQueries:
    """The queries where some candidates have come since."""
    return replace(queries, added_ids=[*dict.fromkeys([*queries.added_ids, *added])])


def write_evaluation(folder: str | Path, queries: EvaluationQueries) -> None:
    """Writes the queries into an export's folder."""
    strings = pa.list_(pa.string())
    columns = {
        "query_id": pa.array(queries.query_ids, pa.string()),
        "history": pa.array(queries.histories, strings),
        "positives": pa.array(queries.positives, strings),
    }
    columns |= {f"{_FEATURE}{name}": column for name, column in queries.features.items()}
    metadata = {name: json.dumps(getattr(queries, name)) for name in _IN_METADATA}
    path = Path(folder) / EVALUATION_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)


def read_evaluation(folder: str | Path) -> EvaluationQueries | None:
    """The queries that an export carries; None where it was made without.

    Args:
        folder: with `saved_model.pb`.

    Raises:
        DataError: the file is damaged.
    """
    path = os.path.join(str(folder), EVALUATION_FILE)
    if not tf.io.gfile.exists(path):
        return None
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            table = pq.read_table(pa.BufferReader(file.read()))
        metadata = {name: json.loads(table.schema.metadata[name.encode()]) for name in _IN_METADATA}
        own = {name: table[name].to_pylist() for name in _OWN_COLUMNS}
    except (OSError, ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        raise DataError(f"{path}: cannot be read; export the model again: {error}") from error
    features = {
        name.removeprefix(_FEATURE): table[name].combine_chunks()
        for name in table.column_names
        if name.startswith(_FEATURE)
    }
    return EvaluationQueries(own["query_id"], features, own["history"], own["positives"], **metadata)


def _features(queries: Entities, features: Mapping[str, Feature], rows: np.ndarray) -> dict[str, pa.Array]:
    columns = {}
    for name, feature in features.items():
        column = queries.features[name]
        if feature.kind in MEDIA_KINDS:
            values = [content or None for content in queries.media_bytes(name, rows, feature.kind)]
            columns[name] = pa.array(values, pa.large_binary())
        elif feature.kind == "vector":
            values = np.asarray(column[rows], np.float32)
            flat = pa.array(values.reshape(-1))
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        elif feature.kind == "number":
            columns[name] = pa.array(np.asarray(column[rows], np.float32))
        else:
            columns[name] = column.take(pa.array(rows))
    return columns


def query_entities(queries: EvaluationQueries, features: Mapping[str, Feature]) -> Entities:
    """The queries' features as a dataset has them, those that a schema describes and the queries have."""
    columns = {}
    for name, feature in features.items():
        column = queries.features.get(name)
        if column is not None and feature.kind == "vector":
            size = column.type.list_size
            columns[name] = np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32).reshape(-1, size)
        elif column is not None and feature.kind == "number":
            columns[name] = column.to_numpy(zero_copy_only=False).astype(np.float32)
        elif column is not None:
            columns[name] = column
    return Entities(pa.array(queries.query_ids, pa.string()), columns, source=EVALUATION_FILE)
