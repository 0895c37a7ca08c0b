"""From a dataset's candidates and their vectors to the index that a served model carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmmrec.data.batches import Tables, gather
from tfmmrec.data.dataset import Dataset
from tfmmrec.data.entities import Entities
from tfmmrec.data.histories import full_histories
from tfmmrec.data.interactions import Interactions
from tfmmrec.schema import Feature
from tfmmrec.search.built_index import build_index
from tfmmrec.search.content_sample import ContentSample
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.index_settings import IndexSettings
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.serving.request_filters import filter_features

_QUERIES_AT_ONCE = 4096


def candidate_index(
    dataset: Dataset,
    features: Mapping[str, Feature],
    vectors: np.ndarray,
    history_vectors: np.ndarray | None = None,
    parts: np.ndarray | None = None,
    settings: IndexSettings | None = None,
    queries: Callable[[], np.ndarray] = lambda: np.zeros([0, 1], np.float32),
    seed: int = 0,
) -> tuple[ExactIndex, dict[str, Any]]:
    """The index of all candidates of a dataset, and what to say of it (`build_index`).

    Args:
        dataset: their ids, their filter values, and how often train has each.
        features: the candidates' features.
        vectors: float32 `[num_candidates, dim]`.
        history_vectors: float32 `[num_candidates, history_dim]`, None where histories pool `vectors`.
        parts: float32 `[num_candidates, parts_dim]`, for a ranking model behind the index.
        settings: what kind of index.
        queries: gives vectors of the dataset's queries, for an approximate index to be measured with.
        seed: of an approximate index.
    """
    codes, values = filter_codes(dataset.candidates, features)
    ids = dataset.candidates.ids.to_pylist()
    arguments = ids, vectors, dataset.train.counts(), codes, values, history_vectors, parts
    return build_index(settings or IndexSettings(), arguments, queries, seed)


def filter_codes(entities: Entities, features: Mapping[str, Feature]) -> tuple[np.ndarray, list[str]]:
    """The "feature=value" strings that candidates can be filtered by: categories first, then identifiers.

    Of more than 29 such features the first 29 are taken, and of a row's values the first `max_values` of its feature.

    Args:
        entities: the candidates.
        features: their features.

    Returns:
        Codes int32 `[num_candidates, width]`, -1 = none, whose first column is the first value of the first category
        feature (-1 everywhere where there is no such feature); and the values that they are places in.
    """
    chosen = filter_features(features)
    columns, values = [], []
    for name in chosen:
        codes, found = _codes(entities.features[name], features[name])
        columns.append(np.where(codes >= 0, codes + len(values), -1))
        values += [f"{name}={value}" for value in found]
    if not chosen or features[chosen[0]].kind != "category":
        columns.insert(0, np.full((len(entities), 1), -1, np.int32))
    return np.concatenate(columns, axis=1).astype(np.int32), values


def _codes(column: pa.Array, feature: Feature) -> tuple[np.ndarray, list[str]]:
    """One feature's codes `[n, at least 1]`, packed to the left, and its different values."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if feature.separator is not None and not _is_list(column):
        column = pc.split_pattern(column, feature.separator)
    if _is_list(column):
        owners, flat = pc.list_parent_indices(column), pc.list_flatten(column)
    else:
        owners, flat = pa.array(np.arange(len(column))), column
    flat = pc.utf8_trim_whitespace(flat)
    kept = pc.fill_null(pc.greater(pc.utf8_length(flat), 0), False)
    owners, flat = owners.filter(kept).to_numpy(zero_copy_only=False), flat.filter(kept).dictionary_encode()
    place = np.arange(owners.size) - np.searchsorted(owners, owners)  # among the row's own
    inside = place < feature.max_values
    width = int(place[inside].max()) + 1 if inside.any() else 1
    codes = np.full((len(column), width), -1, np.int32)
    codes[owners[inside], place[inside]] = flat.indices.to_numpy(zero_copy_only=False)[inside]
    return codes, flat.dictionary.to_pylist()


def _is_list(column: pa.Array) -> bool:
    return pa.types.is_list(column.type) or pa.types.is_large_list(column.type)


def content_sample(model, tables: Tables, num_candidates: int, size: int = 128, seed: int = 0) -> ContentSample:
    """Candidates of which as much as possible is there, of four times as many drawn at random; their ids left out.

    Args:
        model: has a `candidate_tower`.
        tables: all candidates' preprocessed features.
        num_candidates: how many there are.
        size: how many are taken.
        seed: of the draw.
    """
    drawn = np.random.default_rng(seed).permutation(num_candidates)[: 4 * size]
    embedded = model.candidate_tower.encode(tf.nest.map_structure(tf.constant, gather(tables, drawn)), training=False)
    content = [part["present"].numpy() for name, part in embedded.items() if name != "id"]
    order = np.argsort(-np.sum([np.zeros(drawn.size, int), *content], axis=0), kind="stable")[:size]
    parts = {name: {key: tensor.numpy()[order] for key, tensor in part.items()} for name, part in embedded.items()}
    if "id" in parts:
        parts["id"] = {key: np.zeros_like(value) for key, value in parts["id"].items()}
    return ContentSample(parts)


def known_histories(dataset: Dataset, length: int, seed: int = 0) -> QueryHistories:
    """What every query of a dataset chose in train, for an index of its candidates.

    Args:
        dataset: its train is used.
        length: of the model's history: the first so many are those that evaluation pools, the others follow.
        seed: of the choice where there are more and the log has no times.
    """
    parts = list(each_history(dataset.train, np.arange(dataset.train.num_queries), length, seed))
    sizes = [len(rows) for rows in parts]
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    chosen = np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
    return QueryHistories(dataset.queries.ids.to_pylist(), indptr, chosen, dataset.candidates.ids.to_pylist())


def each_history(train: Interactions, queries: np.ndarray, length: int, seed: int = 0) -> Iterator[np.ndarray]:
    """All that queries chose, each candidate once, int `[any]`: first what evaluation pools, then the others.

    Args:
        train: what was chosen.
        queries: int rows `[n]`.
        length: of the model's history.
        seed: of the choice where there are more and the log has no times.
    """
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        part = queries[start : start + _QUERIES_AT_ONCE]
        for query, first in zip(part, full_histories(train, part, max(length, 1), seed), strict=True):
            rows = np.concatenate([first[first >= 0], train.candidates_of(int(query))[::-1]])
            _, place = np.unique(rows, return_index=True)  # each once, where it stands first
            yield rows[np.sort(place)]
