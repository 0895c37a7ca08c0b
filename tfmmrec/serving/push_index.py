"""The version in service with other candidates, published as the next version if it proves itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tfmmrec.data.dataset import load_dataset
from tfmmrec.schema import Schema
from tfmmrec.serving.evaluation_queries import (
    EvaluationQueries,
    evaluation_queries,
    read_evaluation,
    with_added,
    without_candidates,
)
from tfmmrec.serving.exported_model import read_extra
from tfmmrec.serving.new_candidates import read_ids, read_removed
from tfmmrec.serving.paths import model_folder
from tfmmrec.serving.policy import Policy
from tfmmrec.serving.push import Pushed, push_model
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
        UsageError: as `refresh_index` and `push_model`; also a model that carries no queries, without a dataset.
        DataError: as these; also no version there.
    """
    source = model_folder(Versions(to).shown)
    gone = None if removed is None else read_removed(removed)
    queries = None if dataset is None else _queries(source, dataset, candidates, gone or [])
    if dataset is None and read_evaluation(source) is None:  # before anything is encoded
        raise UsageError(f"{source}: carries no queries to be measured with; name a dataset with --dataset")
    done: list[Refreshed] = []

    def write(folder: Path) -> None:
        done.append(refresh_index(source, folder, candidates, gone, progress))

    files = {"candidates": candidates, "removed": removed, "dataset": dataset}
    origin = {"version": int(Path(source).name)}
    origin |= {name: None if path is None else os.path.realpath(path) for name, path in files.items()}
    pushed = push_model(write, to, policy, force, queries, origin, progress, follows=origin["version"])
    return done[0], pushed


def _queries(source: str, folder: str | Path, candidates: str | Path | None, removed: list[str]) -> EvaluationQueries:
    seed = read_extra(source, "model.json")["seed"]
    length = read_extra(source, "signatures.json")["recommend"]["inputs"]["history"]["list_length"]
    dataset = load_dataset(folder)
    queries = without_candidates(evaluation_queries(dataset, seed=seed, history_length=length), removed)
    if candidates is None:
        return queries
    schema = Schema.model_validate(read_extra(source, "schema.json"))
    new = read_ids(candidates, schema)
    return with_added(queries, [id for id, row in zip(new, dataset.candidates.row_of(new), strict=True) if row < 0])
