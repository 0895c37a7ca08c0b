"""What a dataset consists of: tables, id columns, and features with their kinds.

One frozen description read by the readers, the towers, the served signatures and the client alike. It is
written by a person as `dataset.yaml`; `tfmmrec inspect` proposes a first one.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tfmmrec.types import DataError

FeatureKind = Literal["identifier", "category", "number", "text", "image", "audio", "video", "vector"]
MEDIA_KINDS = ("image", "audio", "video")
"""Kinds whose values are files: paths relative to the dataset's folder, or a column of bytes."""
CONTENT_KINDS = ("text", *MEDIA_KINDS, "vector")
"""Kinds that say what an entity is like, and have a vector that needs no training of a model."""
SplitMethod = Literal["ratio", "leave_one_out", "time"]
Operator = Literal[">=", "<=", "==", "!=", ">", "<"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_POSITIVE = re.compile(r"\s*([^\s<>=!][^<>=!]*?)\s*(>=|<=|==|!=|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Feature(_Frozen):
    """One feature of a candidate, a query or an interaction.

    Attributes:
        kind: how the raw value is read and encoded.
        column: the table's column; the feature's own name when left out.
        separator: splits a category column into several values (`"|"`).
        path: for `vector`: a `.npy` file `[rows, dim]` in the table's row order.
        max_values: for a category with several values or a list: at most so many are kept.
    """

    kind: FeatureKind
    column: str | None = None
    separator: str | None = None
    path: str | None = None
    max_values: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _fits_kind(self):
        if self.separator is not None and self.kind != "category":
            raise ValueError(f"separator is for kind: category, not for kind: {self.kind}; leave it out")
        if self.separator == "":
            raise ValueError("separator must not be empty; leave it out for a single value")
        if self.path is not None and self.kind != "vector":
            raise ValueError(f"path is for kind: vector, not for kind: {self.kind}; use column instead")
        return self


class Split(_Frozen):
    """How one log of interactions is parted into train, valid and test.

    Attributes:
        method: `ratio` (at random per query), `leave_one_out` (the last, or a random one, of each query) or
            `time` (the newest interactions of the whole log).
        valid: share of the interactions for validation (`ratio`, `time`).
        test: share of the interactions for the test (`ratio`, `time`).
    """

    method: SplitMethod
    valid: float = Field(default=0.1, ge=0.0, lt=1.0)
    test: float = Field(default=0.1, gt=0.0, lt=1.0)

    @model_validator(mode="after")
    def _leaves_train(self):
        if self.valid + self.test >= 1.0:
            raise ValueError(f"valid + test must leave something to train on, got {self.valid} + {self.test}")
        return self


class InteractionsSchema(_Frozen):
    """The log of who chose what: one file with a `split`, or ready-made `train`, `valid` and `test` files.

    Attributes:
        path: the file (or glob) of the whole log; without `split` it is parted at random per query.
        train: ready-made parts, with `valid` and `test`.
        query: column of the query's id.
        candidate: column of the candidate's id.
        timestamp: column of the time: a number, or a date.
        rating: column of a rating that models may learn.
        weight: column of how much a row counts, 0 or more.
        positive: which rows are choices, as COLUMN OPERATOR NUMBER: "rating >= 4".
        features: context of the choice, such as the hour or the device.
        cold_candidates: share of the candidates that is held out of training altogether.
        seed: of the split and of the cold candidates.
    """

    path: str | None = None
    train: str | None = None
    valid: str | None = None
    test: str | None = None
    split: Split | None = None
    query: str
    candidate: str
    timestamp: str | None = None
    rating: str | None = None
    weight: str | None = None
    positive: str | None = None
    features: dict[str, Feature] = Field(default_factory=dict)
    cold_candidates: float = Field(default=0.0, ge=0.0, lt=1.0)
    seed: int = Field(default=0, ge=0)

    @field_validator("positive")
    @classmethod
    def _comparison(cls, text: str | None) -> str | None:
        if text is not None and not _POSITIVE.fullmatch(text):
            raise ValueError(f"expected COLUMN OPERATOR NUMBER such as 'rating >= 4', found {text!r}")
        return text

    @model_validator(mode="after")
    def _one_form(self):
        if self.path is not None and (self.train or self.valid or self.test):
            raise ValueError("`path` and `train`/`valid`/`test` exclude each other; keep one form")
        if self.train is None and (self.valid or self.test):
            raise ValueError("`valid` and `test` need `train` beside them; add it, or give one `path` with a `split`")
        if self.train is not None and self.split is not None:
            raise ValueError("`split` parts one `path`; with ready-made files leave it out")
        if self.split is not None and self.split.method == "time" and self.timestamp is None:
            raise ValueError("split by method: time needs `timestamp`, the name of the column with the time")
        if self.query == self.candidate:
            raise ValueError(f"`query` and `candidate` name the same column {self.query!r}; name two")
        for name, feature in self.features.items():
            if feature.kind in (*MEDIA_KINDS, "vector") or feature.separator is not None:
                kind = "several values" if feature.separator is not None else f"kind: {feature.kind}"
                raise ValueError(f"feature {name!r}: an interaction has no features of {kind}; it is a candidate's")
            if name in ("timestamp", "rating", "weight"):
                raise ValueError(f"feature {name!r}: give `{name}: COLUMN` instead, or name the feature otherwise")
        return self

    @property
    def positive_rule(self) -> tuple[str, Operator, float] | None:
        """`positive` as (column, operator, number)."""
        if self.positive is None:
            return None
        column, operator, number = _POSITIVE.fullmatch(self.positive).groups()
        return column, operator, float(number)

    @property
    def split_or_default(self) -> Split:
        """The split of a whole log: unless said, random tenths of each query for valid and test."""
        return self.split or Split(method="ratio")


class HistorySchema(_Frozen):
    """The query's past candidates as a feature: at most `length` of them, newest first."""

    length: int = Field(default=50, ge=1)


class RowIds(_Frozen):
    """Ids "0" .. "range - 1", for features given as arrays in row order."""

    range: int = Field(ge=1)


class EntitySchema(_Frozen):
    """The table of candidates or of queries; without `path` the ids come from the interactions.

    Attributes:
        path: the table's file, or a glob.
        id: its id column. Without `path`: of a table that is given in memory.
        ids: the ids are row numbers.
        display: columns that reports and answers show.
        features: by name.
    """

    path: str | None = None
    id: str | None = None
    ids: RowIds | None = None
    display: tuple[str, ...] = ()
    features: dict[str, Feature] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self):
        if self.path is not None and self.id is None:
            raise ValueError("a table needs `id`, the name of its id column")
        if self.ids is not None and (self.path is not None or self.id is not None):
            raise ValueError("a table (`path` and `id`) and `ids` exclude each other; keep one")
        if self.id is None:
            for name, feature in self.features.items():
                if feature.path is None:
                    raise ValueError(
                        f"feature {name!r} needs a table (`path` and `id`), or, for kind: vector, a `.npy` "
                        "file (`path`)"
                    )
                if self.ids is None:
                    raise ValueError(
                        f"feature {name!r} is an array in row order, but the rows have no order; "
                        "add `ids: {range: NUMBER OF ROWS}`, or a table"
                    )
            if self.display:
                raise ValueError("`display` names columns of a table; add `path` and `id`")
        return self


class CandidatesSchema(EntitySchema):
    """The catalogue."""


class QueriesSchema(EntitySchema):
    """Who is asking; `history` turns the past choices into a feature."""

    history: HistorySchema | None = Field(default_factory=HistorySchema)


class Schema(_Frozen):
    """The whole dataset, as written in `dataset.yaml`."""

    interactions: InteractionsSchema
    candidates: CandidatesSchema = Field(default_factory=CandidatesSchema)
    queries: QueriesSchema = Field(default_factory=QueriesSchema)

    @model_validator(mode="after")
    def _names_free(self):
        for side, table in (("candidates", self.candidates), ("queries", self.queries)):
            for name in table.features:
                if name in ("id", "history") or not _NAME.fullmatch(name):  # it names layers and served inputs too
                    raise ValueError(
                        f"{side}.features: {name!r} cannot be a feature name; use letters, digits, _ (ASCII, a letter "
                        "first), with `column:` for the name that the table has"
                    )
        return self

    def check_files(self) -> None:
        """Refuses a schema that leaves its tables' files out, which is for data in memory only.

        Raises:
            DataError: no file of interactions, or an id column without its table.
        """
        log = self.interactions
        if log.path is None and log.train is None:
            raise DataError("interactions: no file; give `path` with a `split`, or `train` and `test`")
        for side, table in (("candidates", self.candidates), ("queries", self.queries)):
            if table.id is not None and table.path is None:
                raise DataError(f"{side}: `id` without `path`; name the table's file")
