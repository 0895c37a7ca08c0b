"""The inputs of the served signatures: names, shapes, and what stands for one that is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfmmrec.data.statistics import FeatureStatistics
from tfmmrec.schema import Feature
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError

QUERY_KEY = "query_id"
"""The query input that every request must have; "" where nobody is known: something must say how large the batch is."""


@dataclass(frozen=True)
class ListLengths:
    """Entries of the list inputs, padded with ""; fixed at export, because a server cannot batch lists of any length.

    Attributes:
        history: past candidates, newest first.
        exclude: ids to leave out.
        allow: filter values to allow.
        deny: filter values to deny.
    """

    history: int = 50
    exclude: int = 100
    allow: int = 16
    deny: int = 16

    def __post_init__(self):
        for name, length in vars(self).items():
            if length < 1:
                raise UsageError(f"the length of {name} must be at least 1, got {length}")


@dataclass(frozen=True)
class Input:
    """One input of a signature.

    Attributes:
        name: as requests give it.
        spec: dtype and shape `[None, ...]`.
        default: `[1, ...]`, what it is for every row when a request leaves it out.
        what: what it holds, for people.
    """

    name: str
    spec: tf.TensorSpec
    default: np.ndarray
    what: str


def make_input(name: str, dtype: tf.DType, default, what: str, shape: Iterable[int] = ()) -> Input:
    """An input `[None, *shape]` whose every entry is `default` when it is left out."""
    shape = tuple(shape)
    value = np.full([1, *shape], default, object if dtype == tf.string else dtype.as_numpy_dtype)
    return Input(name, tf.TensorSpec([None, *shape], dtype, name), value, what)


def query_inputs(
    features: Mapping[str, Feature], statistics: Mapping[str, FeatureStatistics], tower: Tower, lengths: ListLengths
) -> dict[str, Input]:
    """`query_id`, `history` and every feature of queries, whether or not the tower looks at it.

    A model that does not look at a feature takes it all the same, so that clients need not know which model answers.
    """
    own = make_input("query_id", tf.string, "", "the query's id")
    history = make_input("history", tf.string, "", "ids of past candidates, newest first", [lengths.history])
    return _by_name([own, history, *_feature_inputs("query", features, statistics, tower)])


def candidate_inputs(
    features: Mapping[str, Feature], statistics: Mapping[str, FeatureStatistics], tower: Tower
) -> dict[str, Input]:
    """`candidate_id` and every feature of candidates, whether or not the tower looks at it."""
    own = make_input("candidate_id", tf.string, "", "the candidate's id")
    return _by_name([own, *_feature_inputs("candidate", features, statistics, tower)])


def request_inputs(lengths: ListLengths) -> dict[str, Input]:
    """What a request may ask for beside its question; see `search.filters.Filters`."""
    return _by_name(
        [
            make_input("exclude", tf.string, "", "ids of candidates to leave out", [lengths.exclude]),
            make_input(
                "allow", tf.string, "", "feature=value, one of which each feature named must have", [lengths.allow]
            ),
            make_input("deny", tf.string, "", "feature=value, none of which a candidate may have", [lengths.deny]),
            make_input("k", tf.int32, 10, "how many candidates, at most 1000"),
            make_input("min_score", tf.float32, -np.inf, "lower scores are left out"),
            make_input("cap", tf.int32, 0, "at most so many of a main category, 0 for no cap"),
        ]
    )


def candidate_key(tower: Tower, features: Mapping[str, Feature]) -> str:
    """The candidate input that every request must have: the id where the tower has one, else as `content_key`."""
    return "candidate_id" if "id" in tower.encoders else content_key(tower, features)


def content_key(tower: Tower, features: Mapping[str, Feature]) -> str:
    """The content that every request must have: the first text that the tower looks at, else its first feature;
    where it looks at none, the same of all features.
    """
    names = [name for name in features if name in tower.encoders] or list(features)
    return f"candidate_{next((name for name in names if features[name].kind == 'text'), names[0])}"


def _feature_inputs(side: str, features, statistics, tower: Tower) -> list[Input]:
    inputs = []
    for name, feature in features.items():
        if name in tower.encoders:
            spec = tower.encoders[name].raw_spec()
        else:
            spec = _spec(feature, statistics[name])
        missing = "" if spec.dtype == tf.string else float("nan") if feature.kind == "number" else 0.0
        inputs.append(make_input(f"{side}_{name}", spec.dtype, missing, feature.kind, spec.shape[1:]))
    return inputs


def _spec(feature: Feature, statistics: FeatureStatistics) -> tf.TensorSpec:
    if feature.kind == "number":
        return tf.TensorSpec([None], tf.float32)
    if feature.kind == "vector":
        return tf.TensorSpec([None, statistics.dim], tf.float32)
    return tf.TensorSpec([None, feature.max_values] if statistics.is_list else [None], tf.string)


def _by_name(inputs: Iterable[Input]) -> dict[str, Input]:
    return {made.name: made for made in inputs}
