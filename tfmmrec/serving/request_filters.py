"""What a request asks for beside its question, checked before it is asked; without TensorFlow.

A graph takes what it gets: a feature that no candidate has lets nothing pass where it is allowed, and takes nothing out
where it is denied, and 5000 candidates are 1000. People are told instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfmmrec.search.limits import MAX_FEATURES, MAX_K
from tfmmrec.types import UsageError

if TYPE_CHECKING:
    from tfmmrec.schema import Feature

FILTERS = ("exclude", "allow", "deny", "k", "min_score", "cap")
"""The inputs of a signature that finds candidates, beside its question's."""
FILTER_KINDS = ("category", "identifier")


def takes_filters(inputs: Iterable[str]) -> bool:
    """Whether a signature with these inputs finds candidates."""
    return set(FILTERS) <= set(inputs)


def filter_features(features: Mapping[str, Feature]) -> list[str]:
    """The candidates' features that they can be filtered by, categories first; of more than 29 the first 29."""
    return [name for kind in FILTER_KINDS for name, feature in features.items() if feature.kind == kind][:MAX_FEATURES]


def check_filters(given: Mapping[str, Any], features: Sequence[str], is_certain: bool = True) -> None:
    """Refuses a number of candidates out of bounds, and what cannot be allowed or denied.

    Args:
        given: values by input; only `k`, `allow` and `deny` are looked at, in bytes or str.
        features: that candidates can be filtered by.
        is_certain: whether by all of them, or only by those that are categories or identifiers.

    Raises:
        UsageError: k outside 1 to 1000; a value without the form feature=value, or of another feature.
    """
    if "k" in given:
        _check_k(given["k"])
    for key in ("allow", "deny"):
        values = given.get(key, ())
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            values = [values]
        for value in values:
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            if isinstance(text, str) and text:
                _check_value(key, text, features, is_certain)


def _check_k(k: Any) -> None:
    try:
        is_inside = bool(1 <= k <= MAX_K)
    except (TypeError, ValueError):
        return  # no number: its dtype and shape are checked with those of all inputs
    if not is_inside:
        raise UsageError(f"k must lie in 1 to {MAX_K}, got {k}")


def _check_value(key: str, text: str, features: Sequence[str], is_certain: bool) -> None:
    name, _, value = text.partition("=")
    if not (name and value):
        example = features[0] if features and is_certain else "colour"
        raise UsageError(f"{key} takes feature=value, such as {example}=VALUE; got {text!r}")
    if name in features:
        return
    near = difflib.get_close_matches(name, features, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    those = "" if is_certain else "the categories and identifiers among "
    only = f", only by {those}{', '.join(features)}" if features else ": they have no category and no identifier"
    raise UsageError(f"{key}: candidates cannot be filtered by {name!r}{only}{meant}")
