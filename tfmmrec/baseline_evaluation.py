"""The baselines' metrics on a dataset: what every run on it has to beat."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfmmrec.baselines import content_features, content_ridge, ease, most_popular
from tfmmrec.data.dataset import Dataset
from tfmmrec.data.splits import hold_out
from tfmmrec.evaluation import Scorer, evaluate, quick_metrics
from tfmmrec.types import DataError, UsageError

L2_VALUES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
L2_DEFAULT = 500.0
MAX_CANDIDATES_TO_CHOOSE = 10_000
MAX_EQUATIONS = 15_000
_QUERIES_TO_CHOOSE = 1_000

Progress = Callable[[str, int, int], None]


def evaluate_baselines(
    dataset: Dataset,
    split: str = "test",
    ks: Sequence[int] = (10, 20, 50),
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Measures the most popular, EASE and a ridge on content, as `evaluate` measures a model.

    A baseline that cannot be computed, or that would take far longer than the model's own evaluation, is left
    out and a note says why.

    Args:
        dataset: what to measure on.
        split: "test" or "valid".
        ks: cut-offs.
        seed: of what is held out of train to choose EASE's regularisation.
        progress: called with (what, done, in all).

    Returns:
        Baseline -> slice -> metric -> value, and the notes.
    """
    notes: list[str] = []
    makers: dict[str, Callable[[], Scorer]] = {
        "most_popular": lambda: most_popular(dataset),
        "ease": lambda: _ease(dataset, seed, notes, progress),
        "content_ridge": lambda: _content_ridge(dataset),
    }
    found = {}
    for name, make in makers.items():
        try:
            scorer = make()
        except (UsageError, MemoryError) as error:
            notes.append(f"{name} is left out: {error or 'out of memory'}")
            continue
        metrics = evaluate(scorer, dataset, split, ks, num_recommendations=0, progress=_named(progress, name)).metrics
        found[name] = {part: values for part, values in metrics.items() if isinstance(values, dict)}
    return found, notes


def choose_ease_l2(
    dataset: Dataset, values: Sequence[float] = L2_VALUES, seed: int = 0, progress: Progress | None = None
) -> float:
    """The regularisation of EASE with the best NDCG@20 on a tenth of train that is held out; test is not looked at.

    Args:
        dataset: its train is used, nothing else.
        values: what to choose from, tried from the smallest on until the metric falls.
        seed: of what is held out, and of the queries that are asked.
        progress: called with (what, done, in all).

    Raises:
        DataError: no query has two interactions.
        UsageError: too little memory.
    """
    kept, held_out = hold_out(dataset.train, 0.1, seed)
    part = dataclasses.replace(dataset, train=kept)
    asked = np.flatnonzero(np.diff(held_out.indptr))
    asked = np.sort(np.random.default_rng(seed).permutation(asked)[:_QUERIES_TO_CHOOSE])
    best, reached = values[0], -1.0
    for done, l2 in enumerate(sorted(values), start=1):
        found = quick_metrics(ease(part, l2), kept, held_out, (20,), query_rows=asked)["ndcg@20"]
        if progress is not None:
            progress("choosing ease's l2", done, len(values))
        if found < reached:
            break  # it rises to one peak and falls from there
        best, reached = l2, found
    return best


def _ease(dataset: Dataset, seed: int, notes: list[str], progress: Progress | None) -> Scorer:
    num_candidates = len(dataset.candidates)
    _check_size("ease", num_candidates)
    l2, why = L2_DEFAULT, f"the default, as the catalogue has more than {MAX_CANDIDATES_TO_CHOOSE:,} candidates"
    if num_candidates <= MAX_CANDIDATES_TO_CHOOSE:
        try:
            l2 = choose_ease_l2(dataset, seed=seed, progress=progress)
            why = f"chosen among {', '.join(f'{value:g}' for value in L2_VALUES)} on a tenth of train that was held out"
        except DataError as error:
            why = f"the default: {error}"
    scorer = ease(dataset, l2)
    notes.append(f"ease: l2 = {l2:g}, {why}")
    return scorer


def _content_ridge(dataset: Dataset) -> Scorer:
    num_warm = int(np.count_nonzero(dataset.train.counts()))
    if num_warm > MAX_EQUATIONS:
        _check_size("content_ridge", min(num_warm, content_features(dataset).shape[1]))
    return content_ridge(dataset)


def _check_size(name: str, num_equations: int) -> None:
    """Refuses systems that take minutes to solve."""
    if num_equations > MAX_EQUATIONS:
        raise UsageError(
            f"it would solve {num_equations:,} equations, more than {MAX_EQUATIONS:,}; "
            f"tfmmrec.baselines.{name} does it if there is time"
        )


def _named(progress: Progress | None, name: str) -> Progress | None:
    return None if progress is None else lambda _, done, total: progress(name, done, total)
