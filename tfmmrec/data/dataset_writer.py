"""Writes a public dataset as a dataset folder, whole or not at all.

DIR/
    dataset.yaml            what the tables mean; says where the data come from and on which terms
    interactions.parquet    ids, rating, timestamp
    items.parquet           the candidates that some interaction names, and their features
    users.parquet           the queries, where the source knows more of them than their ids
    images/                 pictures, where there are any
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from tfmmrec.data.config import DEFAULT_NAME, parse_schema
from tfmmrec.data.entities_writer import EntitiesWriter
from tfmmrec.data.interactions_writer import InteractionsWriter
from tfmmrec.data.issues import Issue, Issues
from tfmmrec.data.picture_folder import PictureFolder
from tfmmrec.data.raw_sources import Source
from tfmmrec.staging import staged
from tfmmrec.types import DataError, UsageError

SPLITS = ("time", "leave_one_out", "ratio")


@dataclass(frozen=True)
class Conversion:
    """What was written.

    Attributes:
        path: the dataset's folder.
        num_interactions: rows of the log, those below `min_rating` included.
        num_queries: who has an interaction.
        num_candidates: what has one; for vectors in row order all rows.
        num_pictures: pictures that were brought along.
        issues: imperfections that were counted and survived.
    """

    path: Path
    num_interactions: int
    num_queries: int
    num_candidates: int
    num_pictures: int
    issues: list[Issue]


def new_folder(to: str | Path) -> AbstractContextManager[Path]:
    """A folder to write to, which becomes `to` when all is written: `with new_folder(to) as staging:`.

    Args:
        to: the folder to be; it must not exist, or be empty.

    Raises:
        UsageError: it holds something, or nothing can be written there.
    """
    return staged(to, _refuse_filled)


def _refuse_filled(to: str) -> None:
    folder = Path(to)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        what = "is not empty" if folder.is_dir() else "is a file"
        raise UsageError(f"{to} exists and {what}; name a new folder, or remove this one first")


class DatasetWriter:
    """The tables and the yaml of a log whose source has ratings and times.

    Args:
        staging: the folder to write into.
        source: where the data come from.
        query: what the column of query ids is called.
        candidate: what the column of candidate ids is called.
        min_rating: from which rating on an interaction is a choice; None: every rating is one.
        core: leave only the k-core.
        split: how the log is to be parted: time, leave_one_out or ratio.
        images: a folder of pictures.

    Raises:
        UsageError: an argument that makes no sense.
        DataError: no pictures in `images`.
    """

    def __init__(
        self,
        staging: Path,
        source: Source,
        query: str,
        candidate: str,
        *,
        min_rating: float | None = None,
        core: int | None = None,
        split: str = "time",
        images: str | Path | None = None,
    ):
        if split not in SPLITS:
            raise UsageError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        if core is not None and core < 2:
            raise UsageError(f"core must be at least 2, got {core}; leave it out to keep everything")
        self.staging = staging
        self.source = source
        self.query, self.candidate = query, candidate
        self.min_rating = min_rating
        self.split = split
        self.issues = Issues()
        path = staging / "interactions.parquet"
        self.interactions = InteractionsWriter(path, query, candidate, self.issues, core, min_rating)
        self.pictures = None if images is None else PictureFolder(Path(images), staging)

    def finish_interactions(self, path: Path, expected: str) -> None:
        """Ends the log: from now on it is known whose features are wanted.

        Args:
            path: the file it came from.
            expected: what its lines should have looked like.

        Raises:
            DataError: no line was one, or none is left.
        """
        self.interactions.finish()
        if not self.interactions.num_rows:
            found = "; ".join(f"{issue.count} × {issue.kind}, first {issue.example}" for issue in self.issues.all)
            raise DataError(f"{path}: no interactions; expected lines like {expected}, found {found or 'none'}")

    def candidate_table(self, fields: Mapping[str, pa.DataType]) -> EntitiesWriter:
        """The table of candidates, to be filled."""
        path = self.staging / "items.parquet"
        return EntitiesWriter(path, self.candidate, fields, self.interactions.candidates, self.issues)

    def query_table(self, fields: Mapping[str, pa.DataType]) -> EntitiesWriter:
        """The table of queries, to be filled."""
        path = self.staging / "users.parquet"
        return EntitiesWriter(path, self.query, fields, self.interactions.queries, self.issues)

    def finish(
        self,
        to: str | Path,
        candidates: EntitiesWriter,
        features: Mapping[str, Mapping[str, Any]],
        display: Sequence[str],
        queries: EntitiesWriter | None = None,
        query_features: Mapping[str, Mapping[str, Any]] | None = None,
        notes: Sequence[str] = (),
    ) -> Conversion:
        """Writes the yaml: of the features, those that some row has.

        Args:
            to: where the folder will be.
            candidates: their table, filled.
            features: of the candidates, as they stand in a yaml.
            display: columns that reports and answers show.
            queries: their table, filled.
            query_features: as they stand in a yaml.
            notes: lines for who reads the yaml.
        """
        log: dict[str, Any] = {
            "path": "interactions.parquet",
            "query": self.query,
            "candidate": self.candidate,
            "timestamp": "timestamp",
            "rating": "rating",
        }
        if self.min_rating is not None:
            log["positive"] = f"rating >= {self.min_rating:g}"
        log["split"] = {"method": self.split, "valid": 0.1, "test": 0.1}
        content: dict[str, Any] = {"interactions": log}
        content["candidates"] = {
            "path": "items.parquet",
            "id": self.candidate,
            "display": [name for name in display if candidates.filled[name]],
            "features": {name: dict(keys) for name, keys in features.items() if candidates.filled[name]},
        }
        content["queries"] = {"history": {"length": 50}}
        if queries is not None:
            kept = {name: dict(keys) for name, keys in (query_features or {}).items() if queries.filled[name]}
            content["queries"] |= {"path": "users.parquet", "id": self.query, "features": kept}
        write_yaml(self.staging, self.source, content, notes)
        return Conversion(
            Path(to),
            self.interactions.num_rows,
            len(self.interactions.queries),
            len(self.interactions.candidates),
            0 if self.pictures is None else self.pictures.num_brought,
            self.issues.all,
        )


def write_yaml(folder: Path, source: Source, content: Mapping[str, Any], notes: Sequence[str] = ()) -> None:
    """Writes `dataset.yaml`, with a head that says where the data come from."""
    parse_schema(content, DEFAULT_NAME)
    head = [f"{source.name}, as `tfmmrec import` wrote it.", f"From: {source.page}", f"Terms: {source.terms}", *notes]
    body = yaml.safe_dump(dict(content), sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)
    lines = [line for entry in head for line in textwrap.wrap(entry, 108)]
    text = "".join(f"# {line}\n" for line in lines) + body
    (folder / DEFAULT_NAME).write_text(text, encoding="utf-8")
