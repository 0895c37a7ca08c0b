"""Evaluating a run: its metrics beside the baselines', its recommendations and its report, in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfmmrec.baseline_evaluation import evaluate_baselines
from tfmmrec.data.dataset import Dataset
from tfmmrec.data.oracle import load_oracle
from tfmmrec.embedding import Progress
from tfmmrec.evaluation import Evaluation, Scorer, check_request, evaluate, share_of_oracle, vectors_scorer
from tfmmrec.report.page import write_report
from tfmmrec.runs import Run, check_retriever, load_run
from tfmmrec.search.cascade import DEPTH, CascadeScorer
from tfmmrec.search.pair_scorer import PairScorer
from tfmmrec.task_evaluation import predict_tasks
from tfmmrec.types import DataError, UsageError

MAX_PAIRS = 100_000_000
"""So many pairs of a query and a candidate a ranking model scores without a retriever before it."""


def evaluate_run(
    run: Run | str | Path,
    split: str = "test",
    ks: Sequence[int] = (10, 20, 50),
    dataset: Dataset | None = None,
    baselines: bool = True,
    report: bool = True,
    progress: Progress | None = None,
    other_data: bool = False,
    retriever: Run | str | Path | None = None,
) -> Evaluation:
    """Evaluates a run and writes what it finds into the run's folder; `run_files` names the files.

    On an embedded catalogue, whose best ranking is known, everything is also given as a share of it.

    A ranking model is the second stage: behind a retriever it orders the best 200 of what that has found (see
    `CascadeScorer`), and the retriever alone stands beside it as a baseline. Without one it scores every pair, where
    those are no more than 100 million.

    Args:
        run: a finished run, or its folder.
        split: "test" or "valid".
        ks: cut-offs.
        dataset: what to evaluate on; what the run was trained on when None.
        baselines: measure the baselines too.
        report: write the report too.
        progress: called with (what, done, in all).
        other_data: measure data that the run was not trained on too. What it learned from may then be measured
            as test rows or as cold candidates; a note says so.
        retriever: a finished run of a retrieval model, or its folder, trained on the same data; for a run of a ranking
            model only.

    Returns:
        The evaluation; its metrics have "baselines" (name -> slice -> metric -> value, and
        "share_of_oracle" where there is one) and "notes"; for a model of several tasks "tasks", see
        `predict_tasks`; behind a retriever also "retriever" (its path, run_id and
        model, and the depth), and "retriever" among the baselines whether or not those are asked for.

    Raises:
        DataError: not a run, not finished, its data are gone or lack a feature, nothing to measure, or the data
            are others than it was trained on and `other_data` is False.
        UsageError: a split that the dataset does not have, or wrong cut-offs; a retriever where there is nothing for it
            to do, or none where there are too many pairs.
    """
    run = run if isinstance(run, Run) else load_run(run)
    if retriever is not None:
        retriever = retriever if isinstance(retriever, Run) else load_run(retriever)
        check_retriever(run, retriever)
    dataset = run.load_dataset() if dataset is None else dataset
    is_other = False
    for part in (run, retriever) if retriever is not None else (run,):
        _check_features(part, dataset)
        if dataset.fingerprint != part.config.dataset_fingerprint:
            is_other = True
            if not other_data:
                raise DataError(_described_difference(part, dataset))
    check_request(dataset, split, ks)
    if run.kind == "ranking" and retriever is None:
        _check_pairs(run, dataset)
    oracle = _oracle(dataset)
    first = None if retriever is None else _scorer(retriever, dataset, progress)
    scorer = _scorer(run, dataset, progress, first)
    evaluation = evaluate(scorer, dataset, split, ks, progress=progress, oracle=oracle)
    metrics, notes, beside = evaluation.metrics, [], {}
    if is_other:
        notes.append("the dataset is not the one the run was trained on, or has changed since")
    if retriever is not None:
        config = retriever.config
        metrics["retriever"] = {"path": str(retriever.path), "run_id": config.run_id, "model": config.model}
        metrics["retriever"]["depth"] = DEPTH
        alone = evaluate(first, dataset, split, ks, progress=progress, num_recommendations=0).metrics
        beside["retriever"] = {part: values for part, values in alone.items() if isinstance(values, dict)}
        notes.append(f"the best {DEPTH} of {retriever.path} ({config.model}) are ranked anew")
    if baselines:
        found, more = evaluate_baselines(dataset, split, ks, progress=progress)
        beside |= found
        notes += more
    if beside:
        metrics["baselines"] = beside
        for found in beside.values() if oracle is not None else ():
            best = metrics["oracle"]
            found["share_of_oracle"] = {name: share_of_oracle(found[name], best[name]) for name in best}
    predictions = predict_tasks(run, dataset, split, progress)
    if predictions:
        metrics["tasks"] = {name: found.metrics() for name, found in predictions.items()}
    metrics["notes"] = notes
    evaluation.save(run.path)
    if report:
        path, history = run_files(run.path, split)["report"], run.path / "history.csv"
        write_report(path, evaluation, dataset, run.config, history, predictions=predictions)
    return evaluation


def run_files(run: str | Path, split: str = "test") -> dict[str, Path]:
    """Where an evaluation's files lie: "metrics", "recommendations" and "report".

    Args:
        run: the run's folder.
        split: "test" or "valid".
    """
    infix = "" if split == "test" else f".{split}"
    names = {"metrics": "json", "recommendations": "parquet", "report": "html"}
    return {name: Path(run) / f"{name}{infix}.{suffix}" for name, suffix in names.items()}


def _scorer(run: Run, dataset: Dataset, progress: Progress | None, retriever: Scorer | None = None) -> Scorer:
    embedder = run.embedder(dataset, progress)
    candidates = embedder.candidates()
    queries = embedder.queries(np.arange(len(dataset.queries)), candidates, history=dataset.train)
    if run.kind == "retrieval":
        return vectors_scorer(queries, candidates)
    pairs = PairScorer(run.model, queries, candidates)
    if retriever is None:
        return pairs
    return CascadeScorer(retriever, pairs.pairs, DEPTH, popularity=dataset.train.counts())


def _check_pairs(run: Run, dataset: Dataset) -> None:
    """Refuses to score for hours what a retriever would have left out."""
    num_queries, num_candidates = len(dataset.queries), len(dataset.candidates)
    if num_queries * num_candidates > MAX_PAIRS:
        raise UsageError(
            f"{run.path}: {run.config.model} is a ranking model and would score {num_queries:,} x {num_candidates:,} "
            f"pairs, more than {MAX_PAIRS:,}; let it order what a retrieval model has found: --retriever RUN "
            "(retriever=RUN), a run trained on the same data"
        )


def _check_features(run: Run, dataset: Dataset) -> None:
    for side in ("candidates", "queries"):
        wanted = getattr(run.config.data_schema, side).features
        there = getattr(dataset.schema, side).features
        lacking = [name for name in wanted if name not in there or there[name].kind != wanted[name].kind]
        if lacking:
            described = ", ".join(f"{name} ({wanted[name].kind})" for name in lacking)
            raise DataError(
                f"{dataset.root or 'the dataset'}: {side} lack {described}, which the run was trained with; name a "
                "dataset with the same features"
            )


def _described_difference(run: Run, dataset: Dataset) -> str:
    """What tells a dataset from the one a run was trained on, why that matters, and the ways out."""
    trained, there = (_flat(schema.model_dump(mode="json")) for schema in (run.config.data_schema, dataset.schema))
    changed = [name for name in {**trained, **there} if trained.get(name) != there.get(name)]
    changed.sort(key=lambda name: not name.startswith("interactions."))  # what parts train from test comes first
    found = [f"{name} is {_value(there.get(name))}, was {_value(trained.get(name))}" for name in changed[:4]]
    found += [f"{len(changed) - 4} more settings differ"] * (len(changed) > 4)
    if not changed:
        digests = (digest[:12] or "none" for digest in (dataset.fingerprint, run.config.dataset_fingerprint))
        found = ["it is described alike, but its tables differ (fingerprint {}, was {})".format(*digests)]
    return (
        f"{dataset.root or 'the dataset'}: is not what {run.path} was trained on: {'; '.join(found)}. What the model "
        "learned from could be measured as test rows or as cold candidates. Evaluate on the data it was trained on, "
        "train a run on these, or measure them anyway with --other-data (other_data=True)"
    )


def _flat(values: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Nested settings by their path, such as interactions.split.method."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{path}{name}.") if isinstance(value, dict) and value else {f"{path}{name}": value}
    return flat


def _value(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)


def _oracle(dataset: Dataset) -> Scorer | None:
    """The best ranking there can be, where the folder is an embedded catalogue's."""
    if dataset.root is None or not (dataset.root / "oracle.npz").is_file():
        return None
    oracle = load_oracle(dataset.root)
    shape = len(oracle.query_vectors), len(oracle.candidate_vectors)
    return oracle.scores if shape == (len(dataset.queries), len(dataset.candidates)) else None
