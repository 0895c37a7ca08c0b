"""What the encoders must know of the data before training: vocabularies, quantiles, sizes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from tfmmrec.data.dataset import Dataset, Entities
from tfmmrec.data.interactions import Interactions
from tfmmrec.data.rating_biases import rating_biases, rating_moments
from tfmmrec.schema import MEDIA_KINDS, Feature

_WORD = re.compile(r"[^\W_]+")
_NUM_QUANTILES = 17


class FeatureStatistics(BaseModel):
    """One feature, counted over its table.

    Attributes:
        vocabulary: values (identifier, category) or words (text), most frequent first.
        idf: log((1 + n) / (1 + document frequency)) + 1 of each word, for text.
        edges: quantiles, for a number.
        dim: size, for a vector.
        is_list: the raw value is a list of strings.
        max_length: for text, words of the 95th percentile row; for lists, values of the longest row.
        num_missing: rows without a value; not counted for a vector, whose rows are not read here.
    """

    vocabulary: list[str] = []
    idf: list[float] = []
    edges: list[float] = []
    dim: int = 0
    is_list: bool = False
    max_length: int = 1
    num_missing: int = 0


class Statistics(BaseModel):
    """Everything a model builder needs of a dataset; saved with a run.

    `longest_history` is how many interactions a query has in train at most. `rating_mean` and `rating_stddev` are of
    train's ratings, None where it has none; where all are the same, 1 stands for their deviation. The biases of queries
    and candidates are those of `rating_biases`, [] where there are none.
    """

    candidate_ids: list[str]
    query_ids: list[str]
    candidate_counts: list[int]
    longest_history: int = 0
    rating_mean: float | None = None
    rating_stddev: float | None = None
    query_rating_biases: list[float] = []
    candidate_rating_biases: list[float] = []
    candidates: dict[str, FeatureStatistics]
    queries: dict[str, FeatureStatistics]

    @property
    def chosen_candidate_ids(self) -> list[str]:
        """The candidates that train has. The others' ids can teach a model nothing, so it takes them for unknown."""
        return [id for id, count in zip(self.candidate_ids, self.candidate_counts, strict=True) if count]

    @property
    def num_candidates(self) -> int:
        return len(self.candidate_ids)

    def with_biases_of(self, interactions: Interactions) -> Statistics:
        """The same, with the ratings' biases of a part of train: of what is trained on, without what was held out."""
        if self.rating_mean is None:
            return self
        biases = rating_biases(interactions, self.rating_mean)
        of_both = {
            "query_rating_biases": biases.of_queries.tolist(),
            "candidate_rating_biases": biases.of_candidates.tolist(),
        }
        return self.model_copy(update=of_both)

    def save(self, path: Path) -> None:
        path.write_text(self.model_dump_json())

    @classmethod
    def load(cls, path: Path) -> Statistics:
        return cls.model_validate_json(path.read_text())


def words_of(text: str) -> list[str]:
    """Lower-cased runs of letters and digits, as the text encoder splits them in the graph."""
    return _WORD.findall(text.lower())


def compute_statistics(dataset: Dataset, max_words: int = 20_000, min_count: int = 2) -> Statistics:
    """Counts a dataset's features.

    Args:
        dataset: the validated dataset.
        max_words: at most so many words are kept for one text feature.
        min_count: words seen in fewer rows are left out; a category keeps all its values.
    """

    def side(entities: Entities, features: Mapping[str, Feature]) -> dict[str, FeatureStatistics]:
        return {
            name: _feature_statistics(feature, entities.features[name], max_words, min_count)
            for name, feature in features.items()
        }

    mean, stddev = rating_moments(dataset.train)
    found = Statistics(
        candidate_ids=dataset.candidates.ids.to_pylist(),
        query_ids=dataset.queries.ids.to_pylist(),
        candidate_counts=dataset.train.counts().tolist(),
        longest_history=int(np.diff(dataset.train.indptr).max(initial=0)),
        rating_mean=mean,
        rating_stddev=stddev,
        candidates=side(dataset.candidates, dataset.schema.candidates.features),
        queries=side(dataset.queries, dataset.schema.queries.features),
    )
    return found.with_biases_of(dataset.train)


def _feature_statistics(feature: Feature, column, max_words: int, min_count: int) -> FeatureStatistics:
    if feature.kind == "number":
        values = np.asarray(column, np.float64)
        finite = values[np.isfinite(values)]
        edges = np.quantile(finite, np.linspace(0, 1, _NUM_QUANTILES)) if finite.size else np.array([0.0, 1.0])
        return FeatureStatistics(edges=edges.tolist(), num_missing=int(values.size - finite.size))
    if feature.kind == "vector":
        return FeatureStatistics(dim=int(column.shape[1]))
    if feature.kind in MEDIA_KINDS:
        return FeatureStatistics(num_missing=int(column.null_count))
    if feature.kind == "text":
        return _text_statistics(column, max_words, min_count)
    return _category_statistics(feature, column)


def _category_statistics(feature: Feature, column: pa.Array) -> FeatureStatistics:
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    rows = (_category_values(value, feature.separator) for value in column.to_pylist())
    counts: Counter[str] = Counter()
    longest, missing = 1, 0
    for values in rows:
        counts.update(values)
        longest = max(longest, len(values))
        missing += not values
    vocabulary = [value for value, _ in counts.most_common()]
    return FeatureStatistics(
        vocabulary=vocabulary, is_list=is_list, max_length=min(longest, feature.max_values), num_missing=missing
    )


def _category_values(value, separator: str | None) -> list[str]:
    if value is None:
        return []
    parts: Iterable[str] = value if isinstance(value, list) else value.split(separator) if separator else [value]
    return [part.strip() for part in parts if part and part.strip()]


def _text_statistics(column: pa.Array, max_words: int, min_count: int) -> FeatureStatistics:
    documents: Counter[str] = Counter()
    lengths, missing = [], 0
    for text in column.to_pylist():
        words = words_of(text) if text else []
        documents.update([*dict.fromkeys(words)])  # not a set, whose order no two processes share
        missing += not words
        lengths.append(len(words))
    kept = [(word, count) for word, count in documents.most_common(max_words) if count >= min_count]
    idf = [float(np.log((1 + len(lengths)) / (1 + count)) + 1.0) for _, count in kept]
    longest = int(np.ceil(np.quantile(lengths, 0.95))) if lengths else 1
    return FeatureStatistics(
        vocabulary=[word for word, _ in kept], idf=idf, max_length=max(longest, 1), num_missing=missing
    )
