"""A run is a folder; every command can start again from it.

RUN/
  config.json             everything needed to repeat it
  statistics.json         vocabularies and sizes the model is built from
  .lock                   held by the process that trains
  state.json              which phase a training is in, for --resume
  start.json              what was taken of the run it begins with, where it begins with one
  servers.json            which parameter server holds what, where there are some
  encoders/               vectors of our own cached encoders, and their weights
  checkpoints/{select,refit}/   where a killed training goes on
  checkpoints/final       the weights
  history.csv             loss and validation metrics by epoch
  metrics.json, recommendations.parquet, report.html   written by evaluate
"""

from __future__ import annotations

import csv
import io
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from pydantic import BaseModel

import tfmmrec
from tfmmrec.data.dataset import Dataset, load_dataset
from tfmmrec.data.statistics import Statistics
from tfmmrec.embedding import Embedder, Progress, preprocess_entities
from tfmmrec.run_config import RunConfig as RunConfig
from tfmmrec.run_config import read_config as read_config
from tfmmrec.run_config import read_finished
from tfmmrec.run_config import write_config as write_config
from tfmmrec.run_config import write_text as write_text
from tfmmrec.types import DataError, UsageError
from tfmmrec.zoo import ZOO, check_hyperparameters


def new_config(
    dataset: Dataset,
    model: str,
    hyperparameters: dict[str, Any] | None,
    options: BaseModel,
    dataset_config: str | None,
    start_from: str | Path | None,
) -> RunConfig:
    """The config of a run that begins; arguments as `train` has them."""
    return RunConfig(
        run_id=uuid.uuid4().hex,
        version=tfmmrec.__version__,
        model=model,
        hyperparameters=hyperparameters or {},
        options=options.model_dump(),
        data_schema=dataset.schema,
        dataset=None if dataset.root is None else str(Path(dataset.root).resolve()),
        dataset_config=dataset_config,
        dataset_fingerprint=dataset.fingerprint,
        start_from=None if start_from is None else str(Path(start_from).resolve()),
    )


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows as CSV with every column that one of them has, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_start(run: Path, taken: Mapping[str, float]) -> None:
    """Writes a run's `start.json`: `tower/part` -> which share of it was another run's."""
    write_text(run / "start.json", json.dumps(taken, indent=2))


def read_start(run: Path) -> dict[str, float]:
    """Reads it; empty where there is none."""
    path = run / "start.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def build_model(config: RunConfig, statistics: Statistics) -> tf.keras.Model:
    """Builds a run's model with all its weights, untrained.

    Raises:
        UsageError: a model or hyperparameters that the zoo does not know.
    """
    check_hyperparameters(config.model, config.hyperparameters)
    entry, given = ZOO[config.model], dict(config.hyperparameters)
    if "batch_size" in config.options and "global_batch_size" in entry.hyperparameters:
        given.setdefault("global_batch_size", config.options["batch_size"])
    model = entry.build(config.data_schema, statistics, **given)
    model.build_towers()
    return model


def history_length(model) -> int:
    """How many candidates a model's histories have at most; 0 when it reads none."""
    encoder = model.query_tower.encoders.get("history")
    return encoder.length if encoder is not None else 0


@dataclass
class Run:
    """A finished run with its model.

    Attributes:
        path: the folder.
        config: its config.
        statistics: what the model was built from.
        model: the trained model.
    """

    path: Path
    config: RunConfig
    statistics: Statistics
    model: tf.keras.Model

    @property
    def kind(self) -> str:
        """Its model's, retrieval or ranking."""
        return ZOO[self.config.model].kind

    @property
    def history_length(self) -> int:
        return history_length(self.model)

    def load_dataset(self, folder: str | Path | None = None) -> Dataset:
        """The dataset it was trained on, from where it was then or from `folder`."""
        where = folder or self.config.dataset
        if where is None:
            raise DataError(f"{self.path}: was trained on data in memory; name a dataset folder")
        return load_dataset(where, config=self.config.dataset_config)

    def embedder(self, dataset: Dataset, progress: Progress | None = None) -> Embedder:
        """Preprocesses a dataset with this model and embeds its rows."""
        schema, model = self.config.data_schema, self.model
        queries = preprocess_entities(model.query_tower, dataset.queries, schema.queries.features, progress=progress)
        cached = model.candidate_tower.cached_features
        candidates = preprocess_entities(
            model.candidate_tower,
            dataset.candidates,
            schema.candidates.features,
            cached=cached,
            progress=progress,
            store_dtype=self.config.options.get("store_dtype", "float32"),
        )
        return Embedder(
            model, queries, candidates, len(dataset.candidates.ids), self.history_length, self.config.options["seed"]
        )


def load_run(run: str | Path) -> Run:
    """Loads a finished run.

    Raises:
        DataError: not a run, not finished, or its weights do not fit.
    """
    run = Path(run)
    config = read_finished(run)
    try:
        statistics = Statistics.load(run / "statistics.json")
    except (OSError, ValueError) as error:
        raise DataError(f"{run}/statistics.json: the model cannot be built without it: {error}") from error
    model = build_model(config, statistics)
    try:
        status = tf.train.Checkpoint(model=model).read(str(run / "checkpoints" / "final"))
        status.assert_existing_objects_matched().expect_partial()
    except (AssertionError, tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        raise DataError(f"{run}/checkpoints/final: the weights cannot be read: {error}") from error
    return Run(run, config, statistics, model)


def check_retriever(run: Run, retriever: Run) -> None:
    """Refuses two runs that are no second stage and first stage of one another.

    Args:
        run: should be of a ranking model.
        retriever: should be of a retrieval model, trained on the same data.

    Raises:
        UsageError: a model of the wrong kind.
        DataError: not the same data.
    """
    model, first = run.config.model, retriever.config.model
    if run.kind != "ranking":
        raise UsageError(
            f"{run.path}: {model} is a retrieval model and finds candidates by itself; leave the retriever out, or "
            "name the run of a ranking model whose retriever this one shall be"
        )
    if retriever.kind != "retrieval":
        raise UsageError(
            f"{retriever.path}: a retriever must be the run of a retrieval model, got {first}, which is a ranking "
            "model; `tfmmrec zoo` tells which is which"
        )
    digests, found = [part.config.dataset_fingerprint for part in (run, retriever)], ""
    if digests[0] != digests[1]:
        found = "fingerprints " + ", ".join(digest[:12] or "none" for digest in digests)
    elif not digests[0] and (differ := _differences(run, retriever)):
        found = f"no fingerprints, other {', '.join(differ)}"
    if found:
        raise DataError(
            f"{retriever.path}: was not trained on the data of {run.path} ({found}): what the one learned "
            "from may be what the other is measured on; name a retriever that was trained on the same data"
        )


def _differences(run: Run, other: Run) -> list[str]:
    """What of two runs' data differs as far as the runs know it: of data without a fingerprint they have the counts."""
    sides = [
        {
            "schema": part.config.data_schema,
            "candidates": part.statistics.candidate_ids,
            "queries": part.statistics.query_ids,
            "interactions": part.statistics.candidate_counts,
        }
        for part in (run, other)
    ]
    return [what for what, found in sides[0].items() if found != sides[1][what]]


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays as one `.npz`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.npz")
    np.savez(temporary, **arrays)
    os.replace(temporary, path)


def read_state(run: Path) -> dict:
    """Where a training stands: {} before its first phase."""
    path = run / "state.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
