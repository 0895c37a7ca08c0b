"""Ranking metrics in which equal scores count as the expectation over their orders.

A ranking is cut into groups of equal scores. Inside a group every order is equally likely, so each place
holds a positive with the group's share of positives, and the expectations have closed forms (McSherry &
Najork 2008, "Computing information retrieval performance measures efficiently in the presence of tied
scores"). They need the head of the ranking, how many candidates share the last score of the head, and the
positives' scores: no whole ranking.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class RankedGroups:
    """The heads of rankings, place by place, as groups of equal scores.

    Args:
        scores: `[queries, places]` descending; −inf where there is no candidate.
        num_last: int `[queries]`, how many candidates of the whole ranking have the score of the last place.
        owners: int `[num_positives]`, the query of each positive; a query's positives are different
            candidates.
        positive_scores: `[num_positives]`, their scores; −inf is never found.

    Attributes:
        size: `[queries, places]`, candidates in the place's group.
        within: `[queries, places]`, the place's position in its group, from 0.
        positives: `[queries, places]`, positives in the place's group.
        above: `[queries, places]`, positives in the groups before.
        num_positives: `[queries]`, all positives of the query, in the head or not.
    """

    def __init__(self, scores: np.ndarray, num_last: np.ndarray, owners: np.ndarray, positive_scores: np.ndarray):
        num_queries, num_places = scores.shape
        places = np.arange(num_places)
        begins = np.ones(scores.shape, bool)
        begins[:, 1:] = scores[:, 1:] != scores[:, :-1]
        first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)  # where the place's group begins
        keys = (np.arange(num_queries)[:, None] * num_places + first).ravel()
        sizes = np.bincount(keys, minlength=scores.size)
        sizes[np.arange(num_queries) * num_places + first[:, -1]] = num_last  # the last group may go on below
        found = (positive_scores >= scores[owners, -1]) & (positive_scores > -np.inf)
        rows = owners[found]
        higher = (scores[rows] > positive_scores[found, None]).sum(axis=1)  # = first of the positive's group
        positives = np.bincount(rows * num_places + higher, minlength=scores.size).reshape(scores.shape)
        before = np.cumsum(positives, axis=1) - positives
        self.size = np.maximum(sizes[keys].reshape(scores.shape), 1).astype(np.float64)
        self.within = (places - first).astype(np.float64)
        self.positives = np.take_along_axis(positives, first, axis=1).astype(np.float64)
        self.above = np.take_along_axis(before, first, axis=1).astype(np.float64)
        self.num_positives = np.bincount(owners, minlength=num_queries).astype(np.float64)
        self.share = self.positives / self.size  # expected positives in one place
        # No positive up to a place: in a group of n with p positives, place j is none, after j that were
        # none, with probability (n − p − j) / (n − j).
        left = self.size - self.within
        none = np.clip((left - self.positives) / np.maximum(left, 1.0), 0.0, 1.0)
        self.missed = np.cumprod(none, axis=1)


def recall(groups: RankedGroups, k: int) -> np.ndarray:
    """Expected share of a query's positives among its k best, `[queries]`."""
    return groups.share[:, :k].sum(axis=1) / np.maximum(groups.num_positives, 1.0)


def precision(groups: RankedGroups, k: int) -> np.ndarray:
    """Expected share of positives among the k best, `[queries]`; a place without candidate is a miss."""
    return groups.share[:, :k].sum(axis=1) / k


def ndcg(groups: RankedGroups, k: int) -> np.ndarray:
    """Expected gain, 1 / log2(1 + rank) for a positive, over that of the best ranking, `[queries]`.

    The best ranking has min(k, positives) positives on top (Järvelin & Kekäläinen 2002, binary gains).
    """
    discounts = 1.0 / np.log2(np.arange(k) + 2.0)
    gain = groups.share[:, :k] @ discounts[: groups.share.shape[1]]
    ideal = np.concatenate([[1.0], np.cumsum(discounts)])  # a query without positives has gain 0
    return gain / ideal[np.minimum(groups.num_positives, k).astype(int)]


def reciprocal_rank(groups: RankedGroups, k: int) -> np.ndarray:
    """Expectation of 1 / rank of the first positive, 0 where it is not among the k best, `[queries]`."""
    missed = groups.missed[:, :k]
    before = np.concatenate([np.ones((len(missed), 1)), missed[:, :-1]], axis=1)
    return ((before - missed) / (np.arange(missed.shape[1]) + 1.0)).sum(axis=1)


def average_precision(groups: RankedGroups, k: int) -> np.ndarray:
    """Expected sum of the precision at each positive among the k best over min(k, positives), `[queries]`."""
    size, within, positives = groups.size[:, :k], groups.within[:, :k], groups.positives[:, :k]
    # given a positive here, each earlier place of the group is one with probability (p − 1) / (n − 1)
    fellows = within * (positives - 1.0) / np.maximum(size - 1.0, 1.0)
    ranks = np.arange(size.shape[1]) + 1.0
    total = (groups.share[:, :k] * (groups.above[:, :k] + 1.0 + fellows) / ranks).sum(axis=1)
    return total / np.maximum(np.minimum(groups.num_positives, k), 1.0)


def hit_rate(groups: RankedGroups, k: int) -> np.ndarray:
    """Probability that a positive is among the k best, `[queries]`."""
    return 1.0 - groups.missed[:, min(k, groups.missed.shape[1]) - 1]


RANKING_METRICS: dict[str, Callable[[RankedGroups, int], np.ndarray]] = {
    "recall": recall,
    "precision": precision,
    "ndcg": ndcg,
    "mrr": reciprocal_rank,
    "map": average_precision,
    "hit_rate": hit_rate,
}
"""Metric -> function of the groups and k, one value for each query; averaged over queries with a positive."""
