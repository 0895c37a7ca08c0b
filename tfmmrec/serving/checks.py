"""What a policy asks of a model's measured figures, alone and beside the version in service.

The loss of a slice, over the queries that both models were asked:

    L = 1 − mean(metric of the new model) / mean(metric of the version in service)

L is known up to chance, for other queries would have been drawn as well. U is the upper end of its one-sided interval:
the `confidence` quantile of L over resampled queries, both models on the same ones (paired bootstrap, Efron &
Tibshirani 1993). A model falls short where U is above `max_loss`: it must show that not more is lost. The other way
round, to refuse only what is worse for certain, would let anything pass where there are few queries; this way few
queries ask for a generous policy, or for `--force`. The same model has L = U = 0, however few they are. With fewer
queries in common than `min_queries` nothing is compared: the slice all then falls short, others are left out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfmmrec.metrics.significance import Difference, paired_bootstrap
from tfmmrec.serving.exported_evaluation import ExportedEvaluation, SliceScores
from tfmmrec.serving.policy import SLICES, Policy


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: such as "recall", "loss of cold", "latency", "replay".
        passed: whether it holds.
        says: a sentence with the figure, the limit, and by how much it is missed.
        value: the figure.
        limit: what it was compared with.
    """

    name: str
    passed: bool
    says: str
    value: float | None = None
    limit: float | None = None

    def described(self) -> dict[str, Any]:
        """As a mapping for JSON."""
        return asdict(self)


def absolute_checks(
    policy: Policy, found: ExportedEvaluation, num_candidates: int, num_bytes: int
) -> tuple[Check, ...]:
    """What a model must be by itself; only of what the policy limits.

    Args:
        policy: the limits.
        found: the model's evaluation.
        num_candidates: in its index.
        num_bytes: of its folder.
    """
    checks = []
    recall, least = float(found.slices["all"].recall.mean()), least_recall(policy, num_candidates)
    if least is not None:
        by_lot = " that a list drawn by lot has" if policy.min_recall is None else ""
        checks.append(_at_least(f"recall@{found.k}", recall, least, "recall", by_lot))
    checks.append(_at_least("coverage", found.coverage, policy.min_coverage, "coverage"))
    for name, quantile, limit in (("p50", 0.5, policy.max_p50_ms), ("p99", 0.99, policy.max_p99_ms)):
        if limit is not None:
            checks.append(_at_most(f"latency {name}", milliseconds(found.seconds, quantile), limit, " ms"))
    if policy.max_size_mib is not None:
        checks.append(_at_most("size", num_bytes / 2**20, policy.max_size_mib, " MiB"))
    return tuple(checks)


def least_recall(policy: Policy, num_candidates: int) -> float | None:
    """The recall that a policy asks for; None where it asks for none."""
    if policy.min_recall is not None:
        return policy.min_recall
    return policy.k / num_candidates if num_candidates >= 10 * policy.k else None


def loss_checks(policy: Policy, found: ExportedEvaluation, in_service: ExportedEvaluation) -> tuple[Check, ...]:
    """How much of each slice's metric is lost against the version in service."""
    checks = []
    for name in SLICES:
        allowed = policy.max_loss.get(name)
        if allowed is None or name not in in_service.slices:
            continue
        new, old = _paired(policy, found.slices.get(name), in_service.slices[name])
        checks.append(_loss_check(policy, name, allowed, new, old))
    return tuple(checks)


def latency_check(policy: Policy, seconds: np.ndarray, in_service: np.ndarray) -> Check | None:
    """The medians of single requests, measured in one process; None where the policy has no limit.

    Args:
        policy: its `max_latency_ratio`.
        seconds: of requests to the new model.
        in_service: of requests to the version in service.
    """
    if policy.max_latency_ratio is None:
        return None
    ratio = float(np.median(seconds) / np.median(in_service))
    return _at_most("latency ratio", ratio, policy.max_latency_ratio, " times the version in service")


def size_check(policy: Policy, num_bytes: int, in_service: int) -> Check | None:
    """The folders' sizes; None where the policy has no limit."""
    if policy.max_size_ratio is None:
        return None
    return _at_most("size ratio", num_bytes / in_service, policy.max_size_ratio, " times the version in service")


def loss_interval(policy: Policy, new: np.ndarray, old: np.ndarray) -> tuple[float, float]:
    """L and U of the module's formula.

    Args:
        policy: its `confidence` and `num_samples`.
        new: `[queries]`, the new model's metric.
        old: `[queries]`, of the version in service, whose mean is positive.
    """
    gain: Difference = paired_bootstrap(
        new, old, num_samples=policy.num_samples, confidence=2.0 * policy.confidence - 1.0, relative=True
    )
    return 0.0 - gain.difference, 0.0 - gain.low


def milliseconds(seconds: np.ndarray, quantile: float) -> float:
    """A quantile of times, in milliseconds."""
    return float(np.quantile(seconds, quantile)) * 1000.0


def _paired(policy: Policy, new: SliceScores | None, old: SliceScores) -> tuple[np.ndarray, np.ndarray]:
    """The metrics of the queries that both have, in the same order."""
    place = {} if new is None else {id: row for row, id in enumerate(new.query_ids)}
    rows = [(place[id], row) for row, id in enumerate(old.query_ids) if id in place]
    if not rows:
        return np.zeros(0), np.zeros(0)
    mine, theirs = np.array(rows).T
    return getattr(new, policy.metric)[mine], getattr(old, policy.metric)[theirs]


def _loss_check(policy: Policy, name: str, allowed: float, new: np.ndarray, old: np.ndarray) -> Check:
    title, what = f"loss of {name}", f"{policy.metric}@{policy.k} of {name}"
    if new.size < policy.min_queries:
        few = f"{what}: {new.size} queries in common are too few to compare"
        if name != "all":
            return Check(title, True, few)
        said = f"{few}, so nothing says whether more is lost than allowed; it takes {policy.min_queries} (min_queries)"
        return Check(title, False, said, float(new.size), float(policy.min_queries))
    means = f"{what}: {old.mean():.4f} → {new.mean():.4f} ({new.size} queries)"
    if not old.mean() > 0.0:
        return Check(title, True, f"{means}, nothing that could be lost", 0.0, allowed)
    loss, upper = loss_interval(policy, new, old)
    what = f"a loss of {loss:.1%}" if loss >= 0.0 else f"a gain of {-loss:.1%}"
    bound = f"not more than {upper:.1%} lost" if upper >= 0.0 else f"at least {-upper:.1%} gained"
    sure = f"with {policy.confidence:.0%} confidence {bound}"
    said = f"{means}, {what}, {sure}; allowed {allowed:.1%}"
    if upper <= allowed:
        return Check(title, True, said, upper, allowed)
    doubt = "" if loss > allowed else " for so few queries; more of them would make it surer"
    return Check(title, False, f"{said}: {100.0 * (upper - allowed):.1f} points too much{doubt}", upper, allowed)


def _at_least(name: str, value: float, limit: float, title: str, whose: str = "") -> Check:
    said = f"{name} {value:.4f}, at least {limit:.4f}{whose}"
    if value >= limit:
        return Check(title, True, said, value, limit)
    return Check(title, False, f"{said}: {limit - value:.4f} too little", value, limit)


def _at_most(name: str, value: float, limit: float, unit: str) -> Check:
    said = f"{name} {value:.2f}{unit}, at most {limit:.2f}"
    if value <= limit:
        return Check(name, True, said, value, limit)
    return Check(name, False, f"{said}: {value / limit - 1.0:.0%} too much", value, limit)
