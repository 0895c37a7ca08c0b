"""How good an exported model is, by what it answers to the requests that a client would send.

The definitions are those of `evaluation`: what a query has chosen is left out, `all` and `warm` are about all
candidates, `cold` about the cold ones among themselves, and equal scores count as the expectation over their orders.
What differs: for a query that a model knows nothing of, an export answers with the most popular, and evaluation ranks
candidates that all have the same score; and ties that go on beyond the 1000th place of an answer are not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfmmrec.metrics.ranking import RankedGroups, ndcg, recall
from tfmmrec.search.filters import MAX_K
from tfmmrec.serving.asked_rankings import AskedRankings, Head
from tfmmrec.serving.described_model import DescribedModel
from tfmmrec.serving.evaluation_queries import EvaluationQueries
from tfmmrec.serving.exported_model import ExportedModel, load_exported
from tfmmrec.types import DataError, UsageError

Progress = Callable[[str, int, int], None]


@dataclass
class SliceScores:
    """The metrics of the queries with a positive of a slice, in the order of the evaluation's queries.

    Attributes:
        query_ids: `n`.
        recall: `[n]`.
        ndcg: `[n]`.
    """

    query_ids: list[str]
    recall: np.ndarray
    ndcg: np.ndarray


@dataclass
class ExportedEvaluation:
    """What was found.

    Attributes:
        k: the cut-off.
        slices: "all", and "warm" and "cold" where some query has a positive in them.
        coverage: share of the catalogue's candidates that stand in the k best of some query.
        seconds: how long single requests for k candidates took, a sample, after some that do not count.
        notes: what is measured otherwise than in the evaluation of a run.
    """

    k: int
    slices: dict[str, SliceScores]
    coverage: float
    seconds: np.ndarray
    notes: list[str] = field(default_factory=list)


def evaluate_exported(
    folder: str | Path | ExportedModel,
    queries: EvaluationQueries,
    k: int = 20,
    progress: Progress | None = None,
) -> ExportedEvaluation:
    """Measures an exported model through its signatures.

    Args:
        folder: the export, or a folder of versions, of which the newest is taken; or one that is loaded.
        queries: what is asked; such as `read_evaluation(folder)`.
        k: cut-off, below 1000.
        progress: called with ("evaluating", queries done, queries in all).

    Raises:
        UsageError: a ranking model alone, which recommends nothing; or a k that is no cut-off.
        DataError: not an export; there are no queries; or the model answers with numbers that are not finite.
    """
    if not 1 <= k < MAX_K:
        raise UsageError(f"k must lie in 1 to {MAX_K - 1}, got {k}")
    if not len(queries):
        raise DataError("there are no queries to measure an exported model with")
    model = folder if isinstance(folder, ExportedModel) else load_exported(folder)
    check_recommends(model)
    asked = AskedRankings(model, queries)
    heads = []
    for rows in asked.batches():
        heads += asked.heads(rows, k)
        if progress is not None:
            progress("evaluating", int(rows[-1]) + 1, len(queries))
    warm = set(queries.warm_ids)
    slices = {
        "all": _scores(queries, heads, queries.positives, k),
        "warm": _scores(queries, heads, [[id for id in row if id in warm] for row in queries.positives], k),
    }
    slices["cold"], notes = _cold(asked, k)
    recommended = Counter(id for head in heads for id in head.shown)
    return ExportedEvaluation(
        k,
        {name: scores for name, scores in slices.items() if scores.query_ids},
        len(recommended) / model.candidates.num_rows,
        asked.seconds(k),
        [*notes, *_added(asked, recommended, k)],
    )


def check_recommends(model: DescribedModel) -> None:
    """Looks whether a model can be measured at all.

    Raises:
        UsageError: a ranking model alone.
    """
    if "recommend" not in model.signatures:
        raise UsageError(
            f"{model.path}: {model.about['model']} is a ranking model alone, which recommends nothing that could be "
            "measured; export it behind a retrieval model: tfmmrec export RUN --retriever RUN (retriever=RUN)"
        )


def _added(asked: AskedRankings, recommended: Counter, k: int) -> list[str]:
    """A note on candidates that came after the queries were drawn, whether they take more places than they should."""
    rows = asked.model.rows_of(asked.queries.added_ids)
    added = [id for id, row in zip(asked.queries.added_ids, rows, strict=True) if row >= 0]
    if not added:
        return []
    taken = sum(recommended[id] for id in added) / max(recommended.total(), 1)
    share = len(added) / asked.model.candidates.num_rows
    return [
        f"{len(added):,} candidates, {share:.1%} of the catalogue, came after the queries were drawn: they take "
        f"{taken:.1%} of the first {k} places, and are left out of what is measured"
    ]


def _cold(asked: AskedRankings, k: int) -> tuple[SliceScores, list[str]]:
    """The slice cold, and a note where it is not measured as of a run."""
    queries, model = asked.queries, asked.model
    cold = set(queries.cold_ids)
    positives = [[id for id in row if id in cold] for row in queries.positives]
    rows = np.array([place for place, row in enumerate(positives) if row], np.int64)
    heads = [Head([], np.zeros(0, np.float32))] * len(queries)
    ids = [id for id, row in zip(queries.cold_ids, model.rows_of(queries.cold_ids), strict=True) if row >= 0]
    is_cascade, notes = "retriever" in model.about, []
    vectors = None if is_cascade or not ids else model.vectors_of(ids)
    for part in asked.batches(rows) if ids else ():
        if is_cascade:
            found = [_among(head, cold) for head in asked.heads(part, MAX_K - 1)]
        else:
            found = asked.heads_among(part, k, ids, vectors)
        for row, head in zip(part, found, strict=True):
            heads[row] = head
    if is_cascade and len(rows):
        notes.append(
            f"cold: of the {MAX_K} best by retriever and ranker those that are cold, for the ranker has scored the "
            "best of all candidates and not the best of the cold ones"
        )
    return _scores(queries, heads, positives, k), notes


def _among(head: Head, ids: set[str]) -> Head:
    kept = [place for place, id in enumerate(head.ids) if id in ids]
    return Head([head.ids[place] for place in kept], head.scores[kept])


def _scores(queries: EvaluationQueries, heads: list[Head], positives: list[list[str]], k: int) -> SliceScores:
    rows = [place for place, own in enumerate(positives) if own]
    if not rows:
        return SliceScores([], np.zeros(0), np.zeros(0))
    scores, num_last = np.full((len(rows), k), -np.inf), np.ones(len(rows), np.int64)
    owners, positive_scores = [], []
    for place, row in enumerate(rows):
        head = heads[row]
        scores[place, : min(k, len(head.scores))] = head.scores[:k]
        num_last[place] = max(1, np.sum(head.scores == scores[place, -1]))
        score_of = dict(zip(head.ids, head.scores.tolist(), strict=True))
        owners += [place] * len(positives[row])
        positive_scores += [score_of.get(id, -np.inf) for id in positives[row]]
    groups = RankedGroups(scores, num_last, np.array(owners), np.array(positive_scores))
    return SliceScores([queries.query_ids[row] for row in rows], recall(groups, k), ndcg(groups, k))
