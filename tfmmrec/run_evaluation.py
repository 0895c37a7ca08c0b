"""Evaluating a run: its metrics beside the baselines', its recommendations and its report, in the run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfmmrec.baseline_evaluation import evaluate_baselines
from tfmmrec.data.dataset import Dataset
from tfmmrec.data.fashion_oracle import load_oracle
from tfmmrec.embedding import Progress
from tfmmrec.evaluation import Evaluation, Scorer, check_request, evaluate, share_of_oracle, vectors_scorer
from tfmmrec.report.page import write_report
from tfmmrec.runs import Run, load_run
from tfmmrec.types import DataError


def evaluate_run(
    run: Run | str | Path,
    split: str = "test",
    ks: Sequence[int] = (10, 20, 50),
    dataset: Dataset | None = None,
    baselines: bool = True,
    report: bool = True,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluates a run and writes what it finds into the run's folder; `run_files` names the files.

    On an embedded catalogue, whose best ranking is known, everything is also given as a share of it.

    Args:
        run: a finished run, or its folder.
        split: "test" or "valid".
        ks: cut-offs.
        dataset: what to evaluate on; what the run was trained on when None.
        baselines: measure the baselines too.
        report: write the report too.
        progress: called with (what, done, in all).

    Returns:
        The evaluation; its metrics have "baselines" (name -> slice -> metric -> value, and
        "share_of_oracle" where there is one) and "notes".

    Raises:
        DataError: not a run, not finished, its data are gone or lack a feature, or nothing to measure.
        UsageError: a split that the dataset does not have, or wrong cut-offs.
    """
    run = run if isinstance(run, Run) else load_run(run)
    dataset = run.load_dataset() if dataset is None else dataset
    _check_features(run, dataset)
    check_request(dataset, split, ks)
    oracle = _oracle(dataset)
    evaluation = evaluate(_scorer(run, dataset, progress), dataset, split, ks, progress=progress, oracle=oracle)
    metrics, notes = evaluation.metrics, []
    if dataset.fingerprint != run.config.dataset_fingerprint:
        notes.append("the dataset is not the one the run was trained on, or has changed since")
    if baselines:
        metrics["baselines"], more = evaluate_baselines(dataset, split, ks, progress=progress)
        notes += more
        for found in metrics["baselines"].values() if oracle is not None else ():
            best = metrics["oracle"]
            found["share_of_oracle"] = {name: share_of_oracle(found[name], best[name]) for name in best}
    metrics["notes"] = notes
    evaluation.save(run.path)
    if report:
        write_report(run_files(run.path, split)["report"], evaluation, dataset, run.config, run.path / "history.csv")
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


def _scorer(run: Run, dataset: Dataset, progress: Progress | None) -> Scorer:
    embedder = run.embedder(dataset, progress)
    candidates = embedder.candidates()
    queries = embedder.queries(np.arange(len(dataset.queries)), candidates, history=dataset.train)
    return vectors_scorer(queries, candidates)


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


def _oracle(dataset: Dataset) -> Scorer | None:
    """The best ranking there can be, where the folder is an embedded catalogue's."""
    if dataset.root is None or not (dataset.root / "oracle.npz").is_file():
        return None
    oracle = load_oracle(dataset.root)
    shape = len(oracle.query_vectors), len(oracle.candidate_vectors)
    return oracle.scores if shape == (len(dataset.queries), len(dataset.candidates)) else None
