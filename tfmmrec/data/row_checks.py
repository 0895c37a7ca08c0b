"""Rows that can be read, and those that cannot: what is refused as a batch is halved until each bad row is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tfmmrec.data.readers import Rows
from tfmmrec.types import DataError

Read = TypeVar("Read")
_SHOWN = 200


@dataclass(frozen=True)
class Readable(Generic[Read]):
    """Some rows, and what they were read as."""

    rows: Rows
    found: Read


@dataclass(frozen=True)
class Rejected:
    """A row that is left out.

    Attributes:
        file: the file's name.
        row: its number there, from 1; 0 stands for the file.
        reason: what is wrong with it.
        values: what it holds.
    """

    file: str
    row: int
    reason: str
    values: dict[str, Any]

    def line(self) -> str:
        """As a line of JSON."""
        shown = {name: _shown(value) for name, value in self.values.items()}
        content = {"file": self.file, "row": self.row, "reason": self.reason, "values": shown}
        return json.dumps(content, ensure_ascii=False)


def readable_rows(rows: Rows, read: Callable[[Rows], Read]) -> Iterator[Readable[Read] | Rejected]:
    """Reads some rows; where that is refused, all of them that can be read.

    Args:
        rows: consecutive rows of a file.
        read: reads some of them, or raises a DataError.

    Yields:
        In the order of the rows what was read, in as many pieces as the rejected rows make of it, and these rows.
    """
    if not len(rows):
        return
    try:
        found = read(rows)
    except DataError as error:
        if len(rows) == 1:
            yield rejected(rows, 0, str(error))
            return
    else:
        yield Readable(rows, found)
        return
    half = len(rows) // 2
    for start, count in ((0, half), (half, len(rows) - half)):
        yield from readable_rows(Rows(rows.source, rows.first + start, rows.batch.slice(start, count)), read)


def rejected(rows: Rows, index: int, reason: str, names: Sequence[str] | None = None) -> Rejected:
    """The row with this index, to be left out; `names` are the columns that are told, all when None."""
    (values,) = rows.batch.slice(index, 1).to_pylist()
    own = values if names is None else {name: values[name] for name in names}
    return Rejected(rows.source, rows.first + index, reason, own)


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value if value == value and value not in (float("inf"), float("-inf")) else str(value)
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
