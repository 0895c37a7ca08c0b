"""Metrics: how good a ranking is, how varied it is, and whether one is better than another."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "RANKING_METRICS": "ranking",
        "RankedGroups": "ranking",
        "average_precision": "ranking",
        "coverage": "beyond_accuracy",
        "gini": "beyond_accuracy",
        "hit_rate": "ranking",
        "ndcg": "ranking",
        "novelty": "beyond_accuracy",
        "paired_bootstrap": "significance",
        "precision": "ranking",
        "recall": "ranking",
        "reciprocal_rank": "ranking",
        "self_information": "beyond_accuracy",
    },
)
