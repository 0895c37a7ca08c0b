"""The version in service with other candidates, published as the next version if it proves itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfmmrec.data.dataset import load_dataset
from tfmmrec.serving.described_model import DescribedModel, read_description
from tfmmrec.serving.evaluation_queries import (
    EvaluationQueries,
    evaluation_queries,
    read_evaluation,
    with_added,
    without_candidates,
)
from tfmmrec.serving.exported_evaluation import check_recommends
from tfmmrec.serving.new_candidates import read_ids, read_removed
from tfmmrec.serving.paths import model_folder
from tfmmrec.serving.policy import Policy
from tfmmrec.serving.push import Pushed, check_follows, push_model
from tfmmrec.serving.refresh import Refreshed, refresh_index
from tfmmrec.serving.versions import Versions
from tfmmrec.types import UsageError

Progress = Callable[[str, int, int], None]


def push_index(
    to: str | Path,
    candidates: str | Path | None = None,
    removed: str | Path | None = None,
    policy: Policy | None = None,
    force: bool = False,
    dataset: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[Refreshed, Pushed]:
    """Refreshes the index of the version in service, see `refresh_index`, and pushes it, see `push_model`.

    Args:
        to: BASE/NAME, with a version.
        candidates: a table of new or changed candidates.
        removed: a file with ids.
        policy: what the new version must be; the default one when None.
        force: publish it though checks fall short, and record that.
        dataset: a folder whose test both versions are measured with, instead of the queries that the model carries.
        progress: called with (what, done, in all).

    Raises:
        UsageError: as `refresh_index` and `push_model`; also a model that carries no queries, without a dataset,
            or a ranking model alone.
        DataError: as these; also no version there.
    """
    versions = Versions(to)
    source = model_folder(versions.shown)
    follows, done = int(Path(source).name), []
    files = {"candidates": candidates, "removed": removed, "dataset": dataset}
    origin = {name: None if path is None else os.path.realpath(path) for name, path in files.items()}
    try:
        model = read_description(source)
        check_recommends(model)
        ids = set(model.candidates["candidate_id"].to_pylist())
        gone = None if removed is None else read_removed(removed, model.schema, ids)
        queries = None if dataset is None else _queries(model, dataset, candidates, gone or [])
        if dataset is None and read_evaluation(source) is None:  # before anything is encoded
            raise UsageError(f"{source}: carries no queries to be measured with; name a dataset with --dataset")

        def write(folder: Path) -> None:
            done.append(refresh_index(source, folder, candidates, gone, progress))

        origin = {"version": follows, **origin}
        pushed = push_model(write, to, policy, force, queries, origin, progress, follows=follows)
    except (OSError, ValueError, tf.errors.OpError):
        check_follows(versions, follows)  # a rollback may have moved what was read
        raise
    return done[0], pushed


def _queries(
    model: DescribedModel, folder: str | Path, candidates: str | Path | None, removed: list[str]
) -> EvaluationQueries:
    length = model.signatures["recommend"]["inputs"]["history"]["list_length"]
    dataset = load_dataset(folder)
    queries = without_candidates(evaluation_queries(dataset, seed=model.about["seed"], history_length=length), removed)
    if candidates is None:
        return queries
    new = read_ids(candidates, model.schema)
    return with_added(queries, [id for id, row in zip(new, dataset.candidates.row_of(new), strict=True) if row < 0])
