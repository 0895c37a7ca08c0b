"""Folders that look like versions, and evaluations that nobody has measured, for tests of what is made of them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from tfmmrec.serving.exported_evaluation import ExportedEvaluation, SliceScores
from tfmmrec.serving.paths import BLESSING_FILE, MODEL_FILE

FILES = (
    MODEL_FILE,
    "assets.extra/evaluation.parquet",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
    "saved_model.pb",
)
_CONTENT = "content " * 500


def write_slowly(folder: Path, pause: float = 0.0) -> None:
    """Writes the files that an export has, each in two steps; nothing in them can be loaded."""
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with open(folder / name, "w") as file:
            for half in (_CONTENT[:1000], _CONTENT[1000:]):
                file.write(half)
                file.flush()
                time.sleep(pause)


def is_whole(folder: Path) -> bool:
    """Whether all of `write_slowly` is there, and its blessing."""
    texts = [(folder / name).read_text() for name in FILES if (folder / name).exists()]
    return texts == [_CONTENT] * len(FILES) and (folder / BLESSING_FILE).stat().st_size > 0


def make_version(folder: Path, content: str = "graph", blessed: bool = False) -> Path:
    """A folder with what tells that it is an export; nothing in it can be loaded."""
    (folder / "assets.extra").mkdir(parents=True)
    (folder / MODEL_FILE).write_text(json.dumps({"format": "tfmmrec"}))
    (folder / "saved_model.pb").write_text(content)
    if blessed:
        (folder / BLESSING_FILE).write_text("{}")
    return folder


def evaluated(coverage: float = 0.5, seconds: np.ndarray | None = None, **slices) -> ExportedEvaluation:
    """An evaluation with given metrics of every query: slice -> recall and NDCG, or an array that is both."""
    made = {}
    for name, given in slices.items():
        recall, ndcg = given if isinstance(given, tuple) else (given, given)
        made[name] = SliceScores([f"q{row}" for row in range(len(recall))], recall, ndcg)
    return ExportedEvaluation(20, made, coverage, np.full(9, 0.01) if seconds is None else seconds)
