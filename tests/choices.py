"""A small log of choices, and what the tests of training do with it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfmmrec.data.dataset import Dataset, dataset_from_frames
from tfmmrec.runs import Run
from tfmmrec.training import TrainingOptions, train

NUM_QUERIES, NUM_CANDIDATES, SIZE = 48, 40, 9
SMALL = {"dim": 8}


def choices(valid: bool = False, seed: int = 0) -> Dataset:
    """Queries of two tastes who choose mostly among twenty candidates each; with a validation part of its own or not.

    Args:
        valid: whether there is one.
        seed: of the choices.
    """
    random = np.random.default_rng(seed)
    parts: dict[str, list] = {"train": [], "valid": [], "test": []}
    for query in range(NUM_QUERIES):
        taste = np.where(np.arange(NUM_CANDIDATES) % 2 == query % 2, 4.0, 1.0)
        chosen = random.choice(NUM_CANDIDATES, SIZE, replace=False, p=taste / taste.sum())
        for place, candidate in enumerate(chosen):
            part = "test" if place == 0 else "valid" if place == 1 and valid else "train"
            parts[part].append((f"q{query}", f"c{candidate}"))
    frames = {part: pd.DataFrame(rows, columns=["query", "candidate"]) for part, rows in parts.items() if rows}
    schema = {
        "interactions": {"query": "query", "candidate": "candidate"},
        "queries": {"history": {"length": 6}},
    }
    return dataset_from_frames(schema, frames)


def learn(
    folder: Path,
    model: str,
    dataset: Dataset | None = None,
    hyperparameters: dict[str, Any] | None = None,
    callbacks=(),
    progress: bool = False,
    resume: bool = False,
    start_from: Path | None = None,
    **options: Any,
) -> Run:
    """Trains a small model; `options` are the training's."""
    options = {"batch_size": 16, "learning_rate": 0.03, "patience": 99} | options
    return train(
        dataset or choices(),
        folder,
        model,
        SMALL | (hyperparameters or {}),
        TrainingOptions(**options),
        callbacks,
        resume=resume,
        progress=progress,
        start_from=start_from,
    )


def history_rows(run: Run) -> list[dict[str, str]]:
    """history.csv, without the seconds."""
    with open(run.path / "history.csv", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
