"""Whether a model has proved itself: measured as a client would find it, beside the version in service, and loaded as a
server would load it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfmmrec.serving.asked_rankings import AskedRankings
from tfmmrec.serving.catalogue_changes import catalogue_changes
from tfmmrec.serving.checks import (
    Check,
    absolute_checks,
    latency_check,
    loss_checks,
    milliseconds,
    size_check,
)
from tfmmrec.serving.evaluation_queries import EvaluationQueries, read_evaluation, with_added
from tfmmrec.serving.exported_evaluation import ExportedEvaluation, check_recommends, evaluate_exported
from tfmmrec.serving.exported_model import ExportedModel, load_exported
from tfmmrec.serving.paths import BLESSING_FILE
from tfmmrec.serving.policy import Policy
from tfmmrec.serving.replay import replay_check
from tfmmrec.serving.versions import folder_bytes
from tfmmrec.types import DataError, UsageError

Progress = Callable[[str, int, int], None]
_TURNS = 3


@dataclass(frozen=True)
class Blessing:
    """What was found of a model.

    Attributes:
        policy: what it was held against.
        checks: all that was looked at.
        figures: "model" and, where there is one, "in_service": their metrics by slice, coverage, milliseconds, bytes.
        notes: what was measured otherwise than usual, and which candidates would go and come back.
    """

    policy: Policy
    checks: tuple[Check, ...]
    figures: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(check.passed for check in self.checks)

    def described(self) -> dict[str, Any]:
        """As a mapping for JSON."""
        return {
            "passed": self.passed,
            "checks": [check.described() for check in self.checks],
            "figures": self.figures,
            "notes": list(self.notes),
            "policy": self.policy.model_dump(),
        }


def bless(
    folder: str | Path,
    queries: EvaluationQueries | None = None,
    policy: Policy | None = None,
    in_service: str | Path | None = None,
    progress: Progress | None = None,
) -> Blessing:
    """Measures an exported model and holds it against a policy. All checks are made, whichever falls short first.

    Args:
        folder: the model's.
        queries: what both models are asked; those that the new one carries when None.
        policy: the default one when None.
        in_service: the version that it would follow; without one nothing is compared.
        progress: called with (what, done, in all).

    Raises:
        DataError: the folder holds no export.
        UsageError: it carries no queries, or is a ranking model alone.
    """
    policy, model = policy or Policy(), load_exported(folder)
    check_recommends(model)
    queries = queries if queries is not None else read_evaluation(model.path)
    if queries is None:
        raise UsageError("the model carries no queries to be measured with; name a dataset with --dataset")
    if progress is not None:
        progress("loading it in a fresh process and sending it its warmup", 0, 0)
    replayed = replay_check(model)
    try:
        found = evaluate_exported(model, queries, policy.k, progress)
    except DataError as error:
        return Blessing(policy, (replayed, Check("evaluation", False, str(error))))
    num_bytes = folder_bytes(Path(model.path))
    checks = (replayed, *absolute_checks(policy, found, model.candidates.num_rows, num_bytes))
    figures, notes = {"model": _figures(found, num_bytes)}, tuple(found.notes)
    if in_service is not None:
        compared, other, noted = _compare(policy, queries, (model, found, num_bytes), in_service, progress)
        checks += compared
        figures["in_service"] = other
        notes += noted
    return Blessing(policy, checks, figures, notes)


def write_blessing(folder: Path, content: dict[str, Any]) -> None:
    """Writes `blessing.json` into a model's `assets.extra/`."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    (folder / BLESSING_FILE).write_text(text, encoding="utf-8")


def _compare(policy, queries, new, in_service, progress) -> tuple[tuple[Check, ...], dict[str, Any], tuple[str, ...]]:
    model, found, num_bytes = new
    noted: list[str] = []
    if progress is not None:
        progress("measuring the version in service", 0, 0)
    try:
        other = load_exported(in_service)
        changes = catalogue_changes(model, other)
        noted = changes.notes()
        queries = with_added(queries, changes.missing)  # which would take places from what both can find
        measured = evaluate_exported(other, queries, policy.k, progress)
    except Exception as error:  # a foreign model, a damaged one, or one of another schema: no reason to fail itself
        found_wrong = str(error) if isinstance(error, (DataError, UsageError)) else f"{type(error).__name__}: {error}"
        said = f"the version in service cannot be measured, so nothing says whether this one is worse: {found_wrong}"
        return (Check("comparison", False, said),), {}, tuple(noted)
    other_bytes = folder_bytes(Path(other.path))
    checks = [*loss_checks(policy, found, measured)]
    checks.append(_latency(policy, (model, found), (other, measured), queries))
    checks.append(size_check(policy, num_bytes, other_bytes))
    return tuple(check for check in checks if check is not None), _figures(measured, other_bytes), tuple(noted)


def _latency(
    policy: Policy,
    new: tuple[ExportedModel, ExportedEvaluation],
    old: tuple[ExportedModel, ExportedEvaluation],
    queries: EvaluationQueries,
) -> Check | None:
    """Where it falls short both are measured again by turns: other work on the machine slows whoever runs just then."""
    check = latency_check(policy, new[1].seconds, old[1].seconds)
    if check is None or check.passed:
        return check
    asked = [AskedRankings(model, queries) for model, _ in (new, old)]
    turns = [[part.seconds(policy.k) for part in asked] for _ in range(_TURNS)]
    return latency_check(policy, *(np.concatenate(part) for part in zip(*turns, strict=True)))


def _figures(found: ExportedEvaluation, num_bytes: int) -> dict[str, Any]:
    slices = {
        name: {"num_queries": len(s.query_ids), "recall": float(s.recall.mean()), "ndcg": float(s.ndcg.mean())}
        for name, s in found.slices.items()
    }
    times = {name: milliseconds(found.seconds, quantile) for name, quantile in (("p50_ms", 0.5), ("p99_ms", 0.99))}
    return {"k": found.k, "slices": slices, "coverage": found.coverage, **times, "bytes": num_bytes}
