"""What a run's `config.json` holds: everything needed to repeat it. Read without TensorFlow, see `runs`."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

import tfmmrec
from tfmmrec.schema import Schema
from tfmmrec.types import DataError


class RunConfig(BaseModel):
    """What `config.json` holds."""

    run_id: str
    version: str
    model: str
    hyperparameters: dict[str, Any]
    options: dict[str, Any]
    data_schema: Schema
    dataset: str | None = None
    dataset_config: str | None = None
    dataset_fingerprint: str = ""
    start_from: str | None = None
    finished: bool = False
    num_epochs: int = 0
    validation: dict[str, float] = {}


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_config(run: Path, config: RunConfig) -> None:
    """Writes a run's `config.json`, whole or not at all."""
    write_text(run / "config.json", config.model_dump_json(indent=2))


def read_config(run: Path) -> RunConfig:
    """Reads a run's config.

    Raises:
        DataError: the folder is not a run, or its config cannot be read.
    """
    path = Path(run) / "config.json"
    if not path.exists():
        raise DataError(f"{run}: expected a run folder with config.json, found none; `tfmmrec train` makes one")
    try:
        return RunConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a config of this version ({tfmmrec.__version__}): {error}") from error


def read_finished(run: Path) -> RunConfig:
    """Reads the config of a run whose training has finished.

    Raises:
        DataError: as `read_config` does, or it has not finished.
    """
    config = read_config(run)
    if not config.finished:
        raise DataError(f"{run}: its training has not finished; go on with `tfmmrec train ... --run {run} --resume`")
    return config
