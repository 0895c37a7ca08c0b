"""Which metrics and slices an evaluation has, and what they are called before people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfmmrec.metrics.ranking import RANKING_METRICS

_METRICS = {
    "recall": "Recall",
    "precision": "Precision",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "map": "MAP",
    "hit_rate": "Hit rate",
    "coverage": "Coverage",
    "novelty": "Novelty",
    "gini": "Gini",
}
_SLICES = {"all": "All candidates", "warm": "Warm", "cold": "Cold"}
_BASELINES = {
    "retriever": "Retriever alone",
    "most_popular": "Most popular",
    "ease": "EASE",
    "content_ridge": "Content ridge",
    "random": "Random",
}


def metric_label(metric: str) -> str:
    """ "hit_rate@20" -> "Hit rate@20"."""
    name, at, k = metric.partition("@")
    return _METRICS.get(name, name.replace("_", " ")) + at + k


def slice_label(name: str) -> str:
    """ "cold" -> "Cold", "missing_photo" -> "Without photo"."""
    if name.startswith("missing_"):
        return f"Without {name.removeprefix('missing_').replace('_', ' ')}"
    return _SLICES.get(name, name)


def model_label(name: str) -> str:
    """ "ease" -> "EASE"; a model keeps its name."""
    return _BASELINES.get(name, name)


def slices_of(metrics: Mapping[str, Any]) -> list[str]:
    """The main slices, then those of the missing modalities."""
    return main_slices(metrics) + [name for name in metrics if name.startswith("missing_")]


def main_slices(metrics: Mapping[str, Any]) -> list[str]:
    """All, warm and cold; all alone where nothing is cold, for then warm is the same."""
    return [name for name in _SLICES if name in metrics] if "cold" in metrics else ["all"]


def headline(metrics: Mapping[str, Any], k: int) -> list[tuple[str, str]]:
    """The few numbers to see first, as (slice, metric): NDCG by slice, or three metrics over all."""
    if "cold" in metrics:
        return [(name, f"ndcg@{k}") for name in main_slices(metrics)]
    return [("all", f"{metric}@{k}") for metric in ("ndcg", "recall", "hit_rate")]


def cutoffs(metrics: Mapping[str, Any]) -> list[int]:
    """The k's that were measured, ascending."""
    return sorted({int(name.split("@")[1]) for name in metrics["all"] if "@" in name})


def main_cutoff(ks: list[int]) -> int:
    """The k that stands for the others: 20 where it was measured, else the largest."""
    return 20 if 20 in ks else max(ks)


def ranking_metrics(k: int) -> list[str]:
    """The ranking metrics at one k: recall@k, precision@k and so on."""
    return [f"{name}@{k}" for name in RANKING_METRICS]
