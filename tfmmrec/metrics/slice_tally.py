"""The metrics of one slice of an evaluation, gathered batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfmmrec.metrics.beyond_accuracy import coverage, gini, novelty
from tfmmrec.metrics.ranking import RANKING_METRICS, RankedGroups


class SliceTally:
    """Values of each query, and how often each candidate was recommended.

    Args:
        candidate_mask: bool `[num_candidates]`, what was ranked.
        positive_mask: bool `[num_candidates]`, the candidates whose positives the slice is about; None for
            all.
        information: `[num_candidates]`, see `self_information`; None for the ranking metrics alone.

    Attributes:
        query_rows: the queries with a positive of the slice, in batches.
    """

    def __init__(
        self,
        candidate_mask: np.ndarray,
        positive_mask: np.ndarray | None = None,
        information: np.ndarray | None = None,
    ):
        self.candidate_mask = candidate_mask
        self.positive_mask = positive_mask
        self.information = information
        self.query_rows: list[np.ndarray] = []
        self._values: dict[str, list[np.ndarray]] = {}
        self._recommended: dict[int, np.ndarray] = {}

    def add(
        self,
        ks: Sequence[int],
        *,
        query_rows: np.ndarray,
        scores: np.ndarray,
        candidates: np.ndarray,
        num_last: np.ndarray,
        owners: np.ndarray,
        positives: np.ndarray,
        positive_scores: np.ndarray,
    ) -> None:
        """Adds some queries.

        Args:
            ks: cut-offs, none longer than the heads.
            query_rows: int `[queries]`.
            scores: `[queries, places]`, the heads of the rankings, descending.
            candidates: int `[queries, places]`, candidate rows, -1 where the score is −inf.
            num_last: int `[queries]`, ranked candidates with the score of the last place.
            owners: int `[num_positives]`, place in `query_rows` of each positive's query.
            positives: int `[num_positives]`, candidate rows.
            positive_scores: `[num_positives]`.
        """
        if self.positive_mask is not None:
            mine = self.positive_mask[positives]
            kept, owners = np.unique(owners[mine], return_inverse=True)
            if not kept.size:
                return
            query_rows, scores, candidates, num_last = (
                array[kept] for array in (query_rows, scores, candidates, num_last)
            )
            positive_scores = positive_scores[mine]
        self.query_rows.append(query_rows)
        groups = RankedGroups(scores, num_last, owners, positive_scores)
        for k in ks:
            for name, metric in RANKING_METRICS.items():
                self._values.setdefault(f"{name}@{k}", []).append(metric(groups, k))
            if self.information is not None:
                head = candidates[:, :k]
                counts = np.bincount(head[head >= 0], minlength=self.candidate_mask.size)
                self._recommended[k] = self._recommended.get(k, 0) + counts

    def per_query(self) -> dict[str, np.ndarray]:
        """Ranking metric -> `[queries]`."""
        return {name: np.concatenate(parts) for name, parts in self._values.items()}

    def metrics(self) -> dict[str, float]:
        """`num_queries`, means of the ranking metrics, and with `information` coverage, novelty and Gini."""
        means = {name: float(values.mean()) for name, values in self.per_query().items()}
        found = {"num_queries": sum(len(rows) for rows in self.query_rows), **means}
        for k, counts in self._recommended.items():
            ranked = counts[self.candidate_mask]
            found[f"coverage@{k}"] = coverage(ranked)
            found[f"novelty@{k}"] = novelty(ranked, self.information[self.candidate_mask])
            found[f"gini@{k}"] = gini(ranked)
        return found
