"""Evaluation: all candidates ranked for every query, what it has seen left out, warm and cold apart.

Seen is every row of train. `all` and `warm` rank all candidates, `cold` ranks the cold ones only, and
`missing_<feature>` looks at the positives that lack a text, a picture, a sound, a video or a vector. Equal scores count
as the expectation over their orders; averages are over the queries with a positive of the slice that they have not
seen.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfmmrec.data.dataset import Dataset, Interactions
from tfmmrec.metrics.beyond_accuracy import self_information
from tfmmrec.metrics.ranking import RANKING_METRICS
from tfmmrec.metrics.significance import Difference, paired_bootstrap
from tfmmrec.metrics.slice_tally import SliceTally
from tfmmrec.schema import CONTENT_KINDS
from tfmmrec.search.ranked_batches import Pool, RankedBatch, ranked_batches
from tfmmrec.search.scorer import Scorer, VectorsScorer, vectors_scorer
from tfmmrec.types import DataError, UsageError

__all__ = [
    "Difference",
    "Evaluation",
    "Scorer",
    "VectorsScorer",
    "check_request",
    "cold_mask",
    "evaluate",
    "paired_bootstrap",
    "quick_metrics",
    "share_of_oracle",
    "vectors_scorer",
]


@dataclass
class Evaluation:
    """What an evaluation found.

    Attributes:
        metrics: `{"split": "test", "num_queries": ..., "all": {"num_queries": ..., "recall@20": ..., ...},
            "warm": ...}`, a slice only where some query has a positive in it; with an oracle also "oracle"
            and "share_of_oracle", each by slice.
        per_query: slice -> metric -> `[queries]`, the values that the means are of, for `paired_bootstrap`.
        query_rows: slice -> int `[queries]`, which queries they belong to, ascending.
        recommendations: columns query_id, slice (all | cold), rank from 1, candidate_id, score: the head of
            each query's ranking, equal scores in the candidates' order.
    """

    metrics: dict
    per_query: dict[str, dict[str, np.ndarray]]
    query_rows: dict[str, np.ndarray]
    recommendations: pa.Table

    def save(self, folder: str | Path) -> None:
        """Writes metrics.json and recommendations.parquet; for the split valid metrics.valid.json and so on.

        Each file is there whole or not at all.
        """
        folder = Path(folder)
        infix = "" if self.metrics["split"] == "test" else f".{self.metrics['split']}"
        metrics, table = folder / f"metrics{infix}.json", folder / f"recommendations{infix}.parquet"
        pq.write_table(self.recommendations, _beside(table))
        _beside(metrics).write_text(json.dumps(self.metrics, indent=2) + "\n", encoding="utf-8")
        for path in (table, metrics):
            os.replace(_beside(path), path)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.unfinished")


def evaluate(
    scorer: Scorer,
    dataset: Dataset,
    split: str = "test",
    ks: Sequence[int] = (10, 20, 50),
    batch_size: int = 1024,
    mask_valid: bool = False,
    progress=None,
    oracle: Scorer | None = None,
    num_recommendations: int = 100,
) -> Evaluation:
    """Ranks the catalogue for every query of a split and measures the rankings.

    Args:
        scorer: what to evaluate; `vectors_scorer(...)` is the fastest kind.
        dataset: holds what was seen and what should be found.
        split: "test" or "valid".
        ks: cut-offs.
        batch_size: queries at a time; with a function for a scorer fewer where their scores would take more than
            64 MiB.
        mask_valid: the rows of valid count as seen too.
        progress: called with (what, queries done, queries in all).
        oracle: the best scorer there can be, where it is known: adds its metrics and the share of them that
            was reached.
        num_recommendations: length of the lists that are kept; 0 for none.

    Raises:
        UsageError: a split that the dataset does not have, wrong cut-offs, or scores that do not fit.
        DataError: no query of the split has a positive that it has not seen.
    """
    ks = _checked(ks)
    positives, seen = _split(dataset, split, mask_valid)
    pools, slices = _slices(dataset)
    information = self_information(dataset.train.counts())
    tallies = {name: SliceTally(pool.mask, mask, information) for name, (pool, mask) in slices.items()}
    lists: dict[str, list[RankedBatch]] = {pool.name: [] for pool in pools}
    k = max(*ks, num_recommendations)
    for batch in ranked_batches(scorer, seen, positives, pools, k, batch_size, progress=progress):
        for name, tally in tallies.items():
            if slices[name][0] is batch.pool:
                _add(tally, batch, ks)
        if num_recommendations:
            lists[batch.pool.name].append(_shortened(batch, num_recommendations))
    tallies = {name: tally for name, tally in tallies.items() if tally.query_rows}
    if "all" not in tallies:
        raise DataError(f"{split} is empty: no query has a candidate in it that train does not have already")
    metrics = {name: tally.metrics() for name, tally in tallies.items()}
    metrics = {"split": split, "num_queries": metrics["all"]["num_queries"], **metrics}
    if oracle is not None:
        best = evaluate(oracle, dataset, split, ks, batch_size, mask_valid, progress, num_recommendations=0)
        metrics["oracle"] = {name: best.metrics[name] for name in tallies}
        metrics["share_of_oracle"] = {name: share_of_oracle(metrics[name], best.metrics[name]) for name in tallies}
    return Evaluation(
        metrics,
        {name: tally.per_query() for name, tally in tallies.items()},
        {name: np.concatenate(tally.query_rows) for name, tally in tallies.items()},
        _recommendations(dataset, lists),
    )


def check_request(dataset: Dataset, split: str, ks: Sequence[int]) -> None:
    """Refuses at once what `evaluate` would refuse, before hours are spent on vectors.

    Raises:
        UsageError: a split that the dataset does not have, or wrong cut-offs.
    """
    _checked(ks)
    _split(dataset, split, mask_valid=False)


def cold_mask(dataset: Dataset) -> np.ndarray:
    """The candidates that the slice cold ranks, bool `[num_candidates]`."""
    return dataset.cold_candidates if dataset.cold_candidates.any() else dataset.train.counts() == 0


def quick_metrics(
    scorer: Scorer,
    seen: Interactions,
    positives: Interactions,
    ks: Sequence[int] = (20,),
    candidate_mask: np.ndarray | None = None,
    query_rows: np.ndarray | None = None,
    batch_size: int = 1024,
) -> dict[str, float]:
    """The ranking metrics alone, for validation after every epoch.

    Args:
        scorer: what to evaluate.
        seen: interactions whose candidates are left out.
        positives: what should be found; what is also in `seen` does not count.
        ks: cut-offs.
        candidate_mask: bool `[num_candidates]`, rank these candidates only; all when None.
        query_rows: measure these queries only; all with a positive when None.
        batch_size: queries at a time.

    Returns:
        `{"recall@20": ..., "ndcg@20": ..., ...}`, means over the queries with a positive.

    Raises:
        DataError: no query has a positive.
    """
    ks = _checked(ks)
    mask = np.ones(positives.num_candidates, bool) if candidate_mask is None else np.asarray(candidate_mask)
    pool = Pool("all", mask)
    tally = SliceTally(mask)
    for batch in ranked_batches(scorer, [seen], positives, [pool], max(ks), batch_size, query_rows):
        _add(tally, batch, ks)
    if not tally.query_rows:
        raise DataError("there is nothing to measure: no query has a positive that it has not seen")
    return {name: float(values.mean()) for name, values in tally.per_query().items()}


def _add(tally: SliceTally, batch: RankedBatch, ks: Sequence[int]) -> None:
    tally.add(
        ks,
        query_rows=batch.query_rows,
        scores=batch.scores,
        candidates=batch.candidates,
        num_last=batch.num_last,
        owners=batch.owners,
        positives=batch.positives,
        positive_scores=batch.positive_scores,
    )


def _checked(ks: Sequence[int]) -> tuple[int, ...]:
    if not ks or any(int(k) != k or k < 1 for k in ks):
        raise UsageError(f"ks must be whole numbers from 1 on, such as (10, 20), got {tuple(ks)}")
    return tuple(sorted({int(k) for k in ks}))


def _split(dataset: Dataset, split: str, mask_valid: bool) -> tuple[Interactions, list[Interactions]]:
    parts = {"test": dataset.test, "valid": dataset.valid}
    if split not in parts:
        raise UsageError(f"split must be test or valid, got {split!r}")
    if parts[split] is None:
        there = [name for name, part in parts.items() if part is not None]
        raise UsageError(f"the dataset has no part {split}; it has {', '.join(['train', *there])}")
    if mask_valid and split == "valid":
        raise UsageError("mask_valid leaves out what split='valid' looks for; pass one of them")
    valid = [dataset.valid] if mask_valid and dataset.valid is not None else []
    return parts[split], [dataset.train, *valid]


def _slices(dataset: Dataset) -> tuple[list[Pool], dict[str, tuple[Pool, np.ndarray | None]]]:
    """The pools, and slice -> (its pool, the candidates whose positives it is about)."""
    warm = dataset.train.counts() > 0
    cold = cold_mask(dataset)
    pools = [Pool("all", np.ones(warm.size, bool))]
    slices: dict[str, tuple[Pool, np.ndarray | None]] = {
        "all": (pools[0], None),
        "warm": (pools[0], warm & ~cold),
    }
    if cold.any():
        pools.append(Pool("cold", cold))
        slices["cold"] = (pools[1], None)
    for name, feature in dataset.schema.candidates.features.items():
        if feature.kind in CONTENT_KINDS:
            slices[f"missing_{name}"] = (pools[0], _missing(dataset.candidates.features[name]))
    return pools, slices


def _missing(column: pa.Array | np.ndarray) -> np.ndarray:
    """bool `[num_candidates]`; a missing vector's row holds NaN."""
    if isinstance(column, np.ndarray):
        return np.isnan(column[:, :1]).any(axis=1)
    empty = pc.fill_null(pc.equal(pc.binary_length(column), 0), True)
    return empty.to_numpy(zero_copy_only=False).astype(bool)


def share_of_oracle(metrics: dict[str, float], best: dict[str, float]) -> dict[str, float]:
    """The ranking metrics of one slice as shares of the oracle's, which are `best`."""
    return {
        name: value / best[name]
        for name, value in metrics.items()
        if name.split("@")[0] in RANKING_METRICS and best[name] > 0
    }


def _shortened(batch: RankedBatch, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return batch.query_rows, batch.candidates[:, :length], batch.scores[:, :length]


def _recommendations(dataset: Dataset, lists: dict[str, list]) -> pa.Table:
    schema = pa.schema(
        {
            "query_id": dataset.queries.ids.type,
            "slice": pa.string(),
            "rank": pa.int32(),
            "candidate_id": dataset.candidates.ids.type,
            "score": pa.float32(),
        }
    )
    batches = []
    for name, parts in lists.items():
        for query_rows, candidates, scores in parts:
            places, ranks = np.nonzero(candidates >= 0)
            columns = [
                dataset.queries.ids.take(pa.array(query_rows[places])),
                pa.array([name]).take(pa.array(np.zeros(places.size, np.int32))),
                pa.array(ranks + 1, pa.int32()),
                dataset.candidates.ids.take(pa.array(candidates[places, ranks])),
                pa.array(scores[places, ranks]),
            ]
            batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    return pa.Table.from_batches(batches, schema)
