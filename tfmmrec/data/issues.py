"""Imperfections of the data that are counted and survived."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Issue:
    """One kind of imperfection in one place.

    Attributes:
        kind: what is wrong, such as "missing picture file" or "unknown candidate id".
        where: the file, and the feature or column.
        count: how often.
        example: the first one: its row and what stood there.
    """

    kind: str
    where: str
    count: int = 0
    example: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.count} × {self.kind}, first {self.example}"


class Issues:
    """Collects issues, one for each kind and place, in the order in which they first came up."""

    def __init__(self):
        self._by_key: dict[tuple[str, str], Issue] = {}

    def add(self, kind: str, where: str, count: int, example: str) -> None:
        """Counts `count` more of a kind; the first example is kept. Nothing happens for a count of 0."""
        if count > 0:
            issue = self._by_key.setdefault((kind, where), Issue(kind, where, 0, example))
            issue.count += int(count)

    @property
    def all(self) -> list[Issue]:
        return list(self._by_key.values())
