"""What is counted of a dataset that many processes read, and merged at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tfmmrec.data.feature_counts import FeatureCounts
from tfmmrec.data.issues import Issue, Issues
from tfmmrec.data.value_counts import ValueCounts

_NUM_FAULTS = 20


@dataclass
class DatasetCounts:
    """Counts of a dataset, or of a piece of it.

    Attributes:
        counts: sums, by what is counted and of what, such as ("rows", "train").
        lengths: part -> how many interactions a query has that has any.
        issues: (section, kind, where) -> (place of the first one, how many, the first one); sections are "log" and the
            sides.
        faults: what makes the data unusable; at most 20.
        features: (side, feature) -> its counts.
        digests: file -> digest of its content.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    lengths: dict[str, ValueCounts] = field(default_factory=dict)
    issues: dict[tuple[str, str, str], tuple[tuple[int, ...], int, str]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    features: dict[tuple[str, str], FeatureCounts] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def merged(cls, pieces: Iterable[DatasetCounts]) -> DatasetCounts:
        """All pieces together."""
        found = cls()
        for piece in pieces:
            for key, count in piece.counts.items():
                found.counts[key] += count
            for part, lengths in piece.lengths.items():
                own = found.lengths.get(part)
                found.lengths[part] = lengths if own is None else ValueCounts.merged([own, lengths])
            for key, issue in piece.issues.items():
                found._add_issue(key, issue)
            found.faults = tuple(sorted({*found.faults, *piece.faults})[:_NUM_FAULTS])
            found.features |= piece.features
            found.digests |= piece.digests
        return found

    @classmethod
    def of_issues(cls, section: str, place: int, issues: Issues) -> DatasetCounts:
        """The issues of some consecutive rows, whose first one is at a place."""
        found = cls()
        for number, issue in enumerate(issues.all):
            found.issues[section, issue.kind, issue.where] = ((place, number), issue.count, issue.example)
        return found

    def all_issues(self, section: str) -> list[Issue]:
        """The issues of a section, in the order in which they first came up."""
        own = [(key, issue) for key, issue in self.issues.items() if key[0] == section]
        own.sort(key=lambda pair: pair[1][0])
        return [Issue(kind, where, count, example) for (_, kind, where), (_, count, example) in own]

    def _add_issue(self, key: tuple[str, str, str], issue: tuple[tuple[int, ...], int, str]) -> None:
        before = self.issues.get(key)
        if before is None:
            self.issues[key] = issue
        else:
            place, _, example = min(before, issue, key=lambda own: own[0])
            self.issues[key] = (place, before[1] + issue[1], example)
