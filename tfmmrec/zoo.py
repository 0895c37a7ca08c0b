"""Every model by name: what builds it, the paper, what it needs, when to use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from tfmmrec.models.two_tower_builder import build_two_tower


@dataclass(frozen=True)
class ZooEntry:
    """One model.

    Attributes:
        build: (schema, statistics, **hyperparameters) -> model.
        kind: retrieval or ranking.
        paper: the source.
        needs: what a dataset must have.
        when: a line on when to use it.
        training: training options that suit it.
    """

    build: Callable[..., Any]
    kind: Literal["retrieval", "ranking"]
    paper: str
    needs: str
    when: str
    training: dict[str, Any] = field(default_factory=dict)


_TRAINING: dict[str, Any] = {"epochs": 150, "batch_size": 512, "learning_rate": 3e-3, "patience": 8}

ZOO: dict[str, ZooEntry] = {
    "two_tower": ZooEntry(
        build_two_tower,
        "retrieval",
        "Yi et al. 2019; Liang et al. 2018 (loss)",
        "interactions; uses whatever features and history there are",
        "the first choice: known and new candidates, known and new queries",
        _TRAINING,
    ),
    "id_only": ZooEntry(
        partial(build_two_tower, content=False, query_features=False, history=False),
        "retrieval",
        "Yi et al. 2019",
        "interactions",
        "to see what content adds; knows nothing of new candidates or queries",
        _TRAINING,
    ),
    "content_only": ZooEntry(
        partial(build_two_tower, candidate_id=False, query_id=False),
        "retrieval",
        "Yi et al. 2019",
        "features of candidates; history or features of queries",
        "catalogues that are new every day",
        _TRAINING,
    ),
    "history_only": ZooEntry(
        partial(build_two_tower, content=False, query_id=False, query_features=False),
        "retrieval",
        "Liang et al. 2018",
        "interactions",
        "queries come and go, candidates stay; no content",
        _TRAINING,
    ),
}
