"""What is counted of a feature, row batch by row batch, and merged: the same statistics as of the whole table.

Equally frequent values are in the order in which they first stand in the table, as they are where one process reads it
from top to bottom; so each value keeps its first place.
"""

from __future__ import annotations

import heapq
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmmrec.data.inspection import InspectedFeature
from tfmmrec.data.statistics import FeatureStatistics, words_of
from tfmmrec.data.value_counts import ValueCounts
from tfmmrec.schema import MEDIA_KINDS, Feature
from tfmmrec.types import DataError

_NUM_QUANTILES = 17
_NUM_EXAMPLES = 3
Counted = dict[str, tuple[int, tuple[int, int]]]
"""Value -> how often it stands there, and where first: the place of the batch, and the value's number in it."""


@dataclass
class FeatureCounts:
    """One feature in some rows of its table.

    Attributes:
        kind: of the feature.
        num_rows: rows seen.
        num_null: rows without a value.
        num_bare: rows without anything to learn from: no value, no word, no finite number.
        numbers: of kind number.
        dims: sizes of vectors.
        is_list: some row is a list of strings.
        lengths: of a text's words, or of a category's values in a row.
        values: single values as they stand there; what `inspect` shows.
        terms: categories, or words by the number of texts that have them; what a vocabulary is made of.
        num_different: values that `trimmed` has left out of `values`.
        unusable: fault -> pictures, sounds or videos that have it.
    """

    kind: str
    num_rows: int = 0
    num_null: int = 0
    num_bare: int = 0
    numbers: ValueCounts = field(default_factory=lambda: ValueCounts.merged([]))
    dims: frozenset[int] = frozenset()
    is_list: bool = False
    lengths: ValueCounts = field(default_factory=lambda: ValueCounts.merged([]))
    values: Counted = field(default_factory=dict)
    terms: Counted = field(default_factory=dict)
    num_different: int = 0
    unusable: Counter[str] = field(default_factory=Counter)

    @classmethod
    def merged(cls, parts: Iterable[FeatureCounts]) -> FeatureCounts:
        """All parts together."""
        parts = list(parts)
        found = cls(parts[0].kind)
        for part in parts:
            found.num_rows += part.num_rows
            found.num_null += part.num_null
            found.num_bare += part.num_bare
            found.dims |= part.dims
            found.is_list |= part.is_list
            found.num_different += part.num_different
            found.unusable += part.unusable
            _add(found.values, part.values)
            _add(found.terms, part.terms)
        found.numbers = ValueCounts.merged(part.numbers for part in parts)
        found.lengths = ValueCounts.merged(part.lengths for part in parts)
        return found

    def dealt(self, num_partitions: int) -> Iterator[tuple[int, FeatureCounts]]:
        """The same in parts by the hash of values, so that no process has them all; the rest is in partition 0."""
        parts = {0: replace(self, values={}, terms={})}
        for name in ("values", "terms"):
            for value, counted in getattr(self, name).items():
                partition = zlib.crc32(value.encode()) % num_partitions
                part = parts.setdefault(partition, FeatureCounts(self.kind))
                getattr(part, name)[value] = counted
        yield from parts.items()

    def trimmed(self, max_words: int = 20_000, min_count: int = 2) -> FeatureCounts:
        """What is needed of a part that has all counts of its values, as `compute_statistics` keeps words."""
        terms = self.terms
        if self.kind == "text":
            terms = {value: own for value, own in _most_common(terms, max_words) if own[0] >= min_count}
        values = dict(_most_common(self.values, _NUM_EXAMPLES))
        num_different = self.num_different + len(self.values)
        return replace(self, values=values, terms=terms, num_different=num_different)

    def statistics(self, feature: Feature, max_words: int = 20_000) -> FeatureStatistics:
        """What the models are built from, of parts that were trimmed and merged.

        Raises:
            DataError: vectors of several sizes, or none at all.
        """
        if self.kind == "number":
            shares = np.linspace(0, 1, _NUM_QUANTILES)
            edges = self.numbers.quantiles(shares) if self.numbers.total else [0.0, 1.0]
            return FeatureStatistics(edges=edges, num_missing=self.num_bare)
        if self.kind == "vector":
            return FeatureStatistics(dim=self._dim())
        if self.kind in MEDIA_KINDS:
            return FeatureStatistics(num_missing=self.num_null)
        terms = _most_common(self.terms, max_words if self.kind == "text" else len(self.terms))
        found = FeatureStatistics(
            vocabulary=[value for value, _ in terms], is_list=self.is_list, num_missing=self.num_bare
        )
        if self.kind == "text":
            found.is_list = False
            found.idf = [float(np.log((1 + self.num_rows) / (1 + count)) + 1.0) for _, (count, _) in terms]
            longest = int(np.ceil(self.lengths.quantiles([0.95])[0])) if self.num_rows else 1
            found.max_length = max(longest, 1)
        else:
            longest = int(self.lengths.values.max(initial=1))
            found.max_length = min(longest, feature.max_values)
        return found

    def inspected(self) -> InspectedFeature:
        """What `inspect` shows, of parts that were trimmed and merged."""
        found = InspectedFeature(kind=self.kind, num_missing=self.num_null)
        if self.kind == "number":
            found.num_distinct = int(self.numbers.values.size)
            shown = self.numbers.quantiles([0, 0.5, 1]) if self.numbers.total else []
            found.examples = [f"{value:g}" for value in shown]
        elif self.kind == "vector":
            found.examples = [f"{self._dim()} numbers"]
        elif self.kind in MEDIA_KINDS:
            found.unusable = dict(self.unusable)
        else:
            found.num_distinct = self.num_different
            values = [value for value, _ in _most_common(self.values, _NUM_EXAMPLES)]
            found.examples = [value if len(value) <= 60 else value[:57] + "..." for value in values]
        return found

    def _dim(self) -> int:
        if len(self.dims) != 1:
            sizes = " and of ".join(map(str, sorted(self.dims)))
            found = f"vectors of {sizes} numbers" if self.dims else "no vector in any row"
            raise DataError(f"expected vectors of one size, found {found}; mend the table, or leave the feature out")
        return next(iter(self.dims))


def count_feature(feature: Feature, column: pa.Array | np.ndarray, place: int) -> FeatureCounts:
    """Counts one feature in some rows.

    Args:
        feature: its description.
        column: as `Entities.features` has it, `[rows]` or, for vectors, `[rows, dim]`.
        place: of the first row, larger than those of the rows before it.
    """
    found = FeatureCounts(feature.kind, num_rows=len(column))
    if feature.kind == "number":
        known = np.asarray(column, np.float64)
        known = known[np.isfinite(known)]
        found.numbers, found.num_null = ValueCounts.of(known), int(len(column) - known.size)
        found.num_bare = found.num_null
    elif feature.kind == "vector":
        found.dims, found.num_null = frozenset([column.shape[1]]), int(np.isnan(column[:, 0]).sum())
    else:
        found.num_null = column.null_count
        if feature.kind not in MEDIA_KINDS:
            _count_values(found, feature, column, place)
    return found


def _count_values(found: FeatureCounts, feature: Feature, column: pa.Array, place: int) -> None:
    found.is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    single = pc.list_flatten(column) if found.is_list else column
    if feature.separator is not None and not found.is_list:
        single = pc.utf8_trim_whitespace(pc.list_flatten(pc.split_pattern(column.drop_null(), feature.separator)))
        single = single.filter(pc.not_equal(single, ""))
    counted = single.drop_null().value_counts()
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    found.values = {value: (count, (place, number)) for number, (value, count) in enumerate(pairs)}
    rows = [_terms(value, feature) for value in column.to_pylist()]
    terms: Counter[str] = Counter()
    for row in rows:
        terms.update([*dict.fromkeys(row)] if feature.kind == "text" else row)
    found.terms = {value: (count, (place, number)) for number, (value, count) in enumerate(terms.items())}
    lengths = [len(row) for row in rows]
    found.lengths, found.num_bare = ValueCounts.of(lengths), lengths.count(0)


def _terms(value: str | list[str] | None, feature: Feature) -> list[str]:
    if value is None:
        return []
    if feature.kind == "text":
        return words_of(value)
    parts = value if isinstance(value, list) else value.split(feature.separator) if feature.separator else [value]
    return [part.strip() for part in parts if part and part.strip()]


def _add(counted: Counted, more: Counted) -> None:
    for value, (count, first) in more.items():
        before = counted.get(value)
        counted[value] = (count, first) if before is None else (before[0] + count, min(before[1], first))


def _most_common(counted: Counted, number: int) -> list[tuple[str, tuple[int, tuple[int, int]]]]:
    return heapq.nsmallest(number, counted.items(), key=lambda pair: (-pair[1][0], pair[1][1]))
