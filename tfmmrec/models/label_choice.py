"""Which features of candidates are the labels of a task, and which ones they are predicted from."""

from __future__ import annotations

from collections.abc import Sequence

from tfmmrec.data.statistics import Statistics
from tfmmrec.models.label_task import LabelTask
from tfmmrec.schema import CONTENT_KINDS, MEDIA_KINDS, Schema
from tfmmrec.types import UsageError


def tags_task(schema: Schema, statistics: Statistics, feature: str | None, max_labels: int) -> LabelTask | None:
    """Tags are the values of a category with several of them, predicted from all content.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        feature: the candidates' feature; the first suitable one when None.
        max_labels: at most so many of its values.

    Returns:
        The task; None where no feature is named and none is suitable, or there is nothing to predict it from.

    Raises:
        UsageError: the named feature is not suitable, or there is nothing to predict it from.
    """
    several = _categories(schema, statistics, several=True)
    found = _chosen("tags", feature, several, several, "a category with several values (`separator`, or lists)")
    return _task("tags", found, feature, schema, statistics, CONTENT_KINDS, max_labels, several=True)


def category_task(schema: Schema, statistics: Statistics, feature: str | None, max_labels: int) -> LabelTask | None:
    """A category is the value of a category with a single one, predicted from what is no text; see `tags_task`.

    A named feature may also be an identifier.
    """
    single = _categories(schema, statistics, several=False)
    identifiers = [name for name, found in schema.candidates.features.items() if found.kind == "identifier"]
    identifiers = [name for name in identifiers if statistics.candidates[name].vocabulary]
    found = _chosen("category", feature, single, single + identifiers, "a category or an identifier with one value")
    return _task("category", found, feature, schema, statistics, (*MEDIA_KINDS, "vector"), max_labels, several=False)


def _categories(schema: Schema, statistics: Statistics, several: bool) -> list[str]:
    return [
        name
        for name, feature in schema.candidates.features.items()
        if feature.kind == "category"
        and statistics.candidates[name].vocabulary
        and (feature.separator is not None or statistics.candidates[name].is_list) == several
    ]


def _chosen(task: str, named: str | None, first: Sequence[str], suitable: Sequence[str], expected: str) -> str | None:
    if named is None:
        return next(iter(first), None)
    if named not in suitable:
        raise UsageError(
            f"{task} must name a feature of the candidates that is {expected}, got {named!r}; "
            f"suitable: {', '.join(suitable) or 'none'}"
        )
    return named


def _task(name, feature, named, schema, statistics, kinds, max_labels, several) -> LabelTask | None:
    sources = [source for source, found in schema.candidates.features.items() if found.kind in kinds]
    if feature is None or not sources:
        if named is not None:
            raise UsageError(
                f"{name}={named}: there is nothing to predict it from; describe a feature of candidates of kind "
                f"{', '.join(kinds[:-1])} or {kinds[-1]}"
            )
        return None
    if max_labels < 1:
        raise UsageError(f"max_labels must be at least 1, got {max_labels}")
    num_labels = min(max_labels, len(statistics.candidates[feature].vocabulary))
    return LabelTask(feature, sources, num_labels, several, name=name)
