"""What a model must be to be published, and how much worse than the one in service it may be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tfmmrec.data.config import read_yaml, validated
from tfmmrec.types import DataError

SLICES = ("all", "warm", "cold")
_ALLOWED_LOSS = {"all": 0.05, "warm": 0.05, "cold": 0.10}
_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_Ratio = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]  # no JSON has infinity; no limit is None


class Policy(BaseModel):
    """What `bless` checks. In yaml each attribute is a line: `min_recall: 0.1`, `max_loss: {cold: 0.2}`.

    Attributes:
        k: cut-off of all metrics.
        metric: of which not more than `max_loss` may be lost: "ndcg" or "recall".
        min_recall: of the slice all. None asks for no more than a list drawn by lot finds, k / candidates, and of a
            catalogue of less than ten times k for nothing.
        min_coverage: share of the catalogue that the lists for all queries must hold.
        max_loss: slice -> the share of the metric in service that may be lost; None leaves a slice out, and slices that
            are not named keep their defaults (.05, of cold .1).
        confidence: how sure it must be that not more is lost, one-sided.
        num_samples: of the bootstrap.
        min_queries: slices with fewer queries in common are not compared, and the slice all falls short then.
        max_p50_ms: of single requests, in milliseconds; None for no limit.
        max_p99_ms: the same of the slowest hundredth.
        max_latency_ratio: how many times the median of the version in service it may take; None for no limit.
        max_size_mib: of the folder, in MiB; None for no limit.
        max_size_ratio: how many times the folder in service it may take; None for no limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int = Field(20, ge=1, le=999)
    metric: Literal["ndcg", "recall"] = "ndcg"
    min_recall: _Share | None = None
    min_coverage: _Share = 0.0
    max_loss: dict[Literal["all", "warm", "cold"], Annotated[float, Field(ge=-10.0, le=1.0)] | None] = Field(
        default_factory=lambda: dict(_ALLOWED_LOSS)
    )
    confidence: float = Field(0.95, gt=0.5, lt=1.0)
    num_samples: int = Field(2000, ge=100)
    min_queries: int = Field(10, ge=1)
    max_p50_ms: _Ratio | None = None
    max_p99_ms: _Ratio | None = None
    max_latency_ratio: _Ratio | None = 2.0
    max_size_mib: _Ratio | None = None
    max_size_ratio: _Ratio | None = 2.0

    @field_validator("max_loss", mode="before")
    @classmethod
    def _others_keep_their_defaults(cls, given: Any) -> Any:
        return _ALLOWED_LOSS | dict(given) if isinstance(given, Mapping) else given


def read_policy(path: str | Path | None = None, **settings: Any) -> Policy:
    """A policy from a yaml file, or the default one, with some of its attributes set.

    Args:
        path: the file.
        settings: attribute -> value; those that are None are left as they are. `max_loss` changes single slices.

    Raises:
        DataError: no such file, or not a mapping in yaml; an attribute that there is not, or a value out of its range.
    """
    content: Any = {}
    if path is not None:
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path}: no such policy file; name a yaml file that exists")
        content = read_yaml(path) or {}
        if not isinstance(content, Mapping):
            raise DataError(f"{path}: expected lines such as `min_recall: 0.1`, found a {type(content).__name__}")
    content = dict(content)
    given = {name: value for name, value in settings.items() if value is not None}
    if "max_loss" in given and isinstance(content.get("max_loss"), Mapping):
        given["max_loss"] = {**content["max_loss"], **given["max_loss"]}
    return validated(Policy, content | given, "the policy" if path is None else str(path))
