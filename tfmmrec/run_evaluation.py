"""Evaluating a run: its metrics beside the baselines', its recommendations and its report, in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    other_data: bool = False,
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
        other_data: measure data that the run was not trained on too. What it learned from may then be measured
            as test rows or as cold candidates; a note says so.

    Returns:
        The evaluation; its metrics have "baselines" (name -> slice -> metric -> value, and
        "share_of_oracle" where there is one) and "notes".

    Raises:
        DataError: not a run, not finished, its data are gone or lack a feature, nothing to measure, or the data
            are others than it was trained on and `other_data` is False.
        UsageError: a split that the dataset does not have, or wrong cut-offs.
    """
    run = run if isinstance(run, Run) else load_run(run)
    dataset = run.load_dataset() if dataset is None else dataset
    _check_features(run, dataset)
    is_other = dataset.fingerprint != run.config.dataset_fingerprint
    if is_other and not other_data:
        raise DataError(_described_difference(run, dataset))
    check_request(dataset, split, ks)
    oracle = _oracle(dataset)
    evaluation = evaluate(_scorer(run, dataset, progress), dataset, split, ks, progress=progress, oracle=oracle)
    metrics, notes = evaluation.metrics, []
    if is_other:
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
