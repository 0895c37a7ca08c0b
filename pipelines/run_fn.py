"""A module file for TFX's Trainer: interactions as tf.Examples into a model that TensorFlow Serving serves.

    Trainer(module_file="pipelines/run_fn.py", examples=..., schema=..., custom_config={"dataset": "shops/fashion"})

It imports no tfx. `tfx_pipeline.py` is a pipeline around it. Set TF_USE_LEGACY_KERAS=1 where the Trainer runs: TFX
imports TensorFlow before this file.

ExampleGen carries the interactions, one tf.Example a choice, with the columns that the `dataset.yaml` names under
`interactions`. The split `train` is learned from; of it a part is held out to choose the epoch. The split `eval` is the
test, on which nothing is chosen: the model carries it along and is measured with it before it is pushed. The catalogue
reaches the Trainer in one of two ways:

- in a dataset's folder, `custom_config["dataset"]`, with its `dataset.yaml`, the tables of candidates and queries, and
  pictures. Candidates that no Example has are in the index all the same. Where the yaml names files of interactions,
  the Examples stand in their place.
- joined to the interactions. Then `custom_config["config"]` is the content of a `dataset.yaml` whose `candidates` (or
  `queries`) have an `id` and no `path`: they are the different ids in the Examples, each as the first Example with that
  id has it. Pictures are bytes then.

The schema, SchemaGen's or one that was curated, says which columns the Examples have and of which types; an Example of
another type is refused. Without a schema the Examples' own features count.

custom_config, each key of which may be left out, but `dataset` or `config` must be there:
    dataset: the dataset's folder, which the machine of the Trainer can read.
    config: another yaml than the folder's dataset.yaml, or its content.
    model: a model of `tfmmrec zoo models`; two_tower.
    settings: what `tfmmrec train --set` takes: the model's hyperparameters and the options of its training. A Tuner's
        best hyperparameters stand above them.
    retriever: for a ranking model: {"model": ..., "settings": {...}} of the retrieval model whose candidates it orders;
        both are trained.
    start_from: the folder of a finished run whose words, pictures and fusion the model begins with.
    index: arguments of `IndexSettings`, such as {"kind": "ivf"}.

`TrainArgs(num_steps=n)` is one epoch of n steps; without it the settings say how long is trained. The number of
EvalArgs is not used: the whole of the split `eval` is measured.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import tfmmrec  # noqa: F401  (before TensorFlow)
from tfmmrec.cli.settings import divide_settings
from tfmmrec.data.config import parse_schema, read_schema
from tfmmrec.data.dataset import Dataset, dataset_of_tables
from tfmmrec.data.examples import Examples, JoinedEntities, read_types
from tfmmrec.data.fingerprint import hash_files
from tfmmrec.data.readers import Table
from tfmmrec.runs import Run
from tfmmrec.schema import Schema
from tfmmrec.search.index_settings import IndexSettings
from tfmmrec.serving.export import export_run
from tfmmrec.serving.paths import is_remote
from tfmmrec.training import train
from tfmmrec.types import DataError, UsageError


class Trained(BaseModel):
    """A model of the zoo and its settings."""

    model_config = ConfigDict(extra="forbid")

    model: str = "two_tower"
    settings: dict[str, Any] = Field(default_factory=dict)


class CustomConfig(Trained):
    """What `custom_config` holds, see above."""

    dataset: str | None = None
    config: str | dict[str, Any] | None = None
    retriever: Trained | None = None
    start_from: str | None = None
    index: dict[str, Any] = Field(default_factory=dict)


def run_fn(fn_args: Any) -> None:
    """Trains a model and writes it with its signatures; Trainer calls this.

    Args:
        fn_args: of which `train_files`, `eval_files`, `schema_path`, `custom_config`, `hyperparameters`, `train_steps`,
            `model_run_dir` and `serving_model_dir` are read. `model_run_dir` becomes the folder of a run.

    Raises:
        DataError: the Examples, the schema or the dataset cannot be read, or do not fit together.
        UsageError: settings that there are not, or that contradict what TFX was told.
    """
    config = parse_custom_config(fn_args)
    with tempfile.TemporaryDirectory(prefix="tfmmrec-run_fn-") as scratch:
        dataset = read_dataset(fn_args, config, Path(scratch))
        keep = fn_args.model_run_dir is not None and not is_remote(fn_args.model_run_dir)
        folder = Path(fn_args.model_run_dir if keep else scratch) / "run"
        steps, start = fn_args.train_steps, config.start_from
        run = _train(dataset, folder, config, steps, start)
        second = config.retriever
        retriever = None if second is None else _train(dataset, folder.with_name("retriever"), second, steps, None)
        if fn_args.model_run_dir is not None and not keep:
            upload(folder.parent, ("run", "retriever"), fn_args.model_run_dir)
        index = IndexSettings(**config.index) if config.index else None
        export_run(run, fn_args.serving_model_dir, dataset, retriever=retriever, index=index)


def parse_custom_config(fn_args: Any) -> CustomConfig:
    """Reads `custom_config`, and `hyperparameters` above it.

    Raises:
        UsageError: unknown keys, wrong types, neither a dataset nor a config, or a base model.
    """
    try:
        config = CustomConfig.model_validate(fn_args.custom_config or {})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}" for entry in error.errors())
        raise UsageError(f"custom_config: {problems}; it takes {', '.join(CustomConfig.model_fields)}") from None
    if config.dataset is None and not isinstance(config.config, dict):
        raise UsageError(
            "custom_config names no data: give `dataset`, a folder with a dataset.yaml, or `config`, the content of a "
            "dataset.yaml whose candidates stand in the Examples"
        )
    if getattr(fn_args, "base_model", None):
        raise UsageError(
            "a base model is a SavedModel, which cannot be trained on; name the folder of its run in "
            "custom_config['start_from'] and leave base_model out"
        )
    tuned = fn_args.hyperparameters or {}
    config.settings |= tuned.get("values", tuned)
    return config


def read_dataset(fn_args: Any, config: CustomConfig, scratch: Path) -> Dataset:
    """The dataset whose interactions are Examples.

    Args:
        fn_args: as of `run_fn`.
        config: its custom_config.
        scratch: a folder for copies of remote files.

    Raises:
        DataError: as of `run_fn`.
    """
    described = config.config
    schema = (
        parse_schema(described, "custom_config['config']")
        if isinstance(described, dict)
        else read_schema(config.dataset, described)
    )
    schema_path = getattr(fn_args, "schema_path", None)
    types = read_types(schema_path) if schema_path else None
    files = {"train": fn_args.train_files, "test": fn_args.eval_files}
    paths = {part: _local_files(patterns or [], scratch / part) for part, patterns in files.items()}
    if not paths["train"]:
        raise DataError(f"no files of Examples match {fn_args.train_files}")
    parts = {part: Examples(found, f"examples/{part}", types) for part, found in paths.items() if found}
    digests = [digest for found in paths.values() for path in found for digest in hash_files(path.parent, [path])]
    return dataset_of_tables(schema, config.dataset, parts, digests, _joined(schema, parts))


def _joined(schema: Schema, parts: Mapping[str, Table]) -> dict[str, Table]:
    sides = {"candidates": schema.candidates, "queries": schema.queries}
    tables = list(parts.values())
    return {
        side: JoinedEntities(tables, entities.id, side)
        for side, entities in sides.items()
        if entities.id and not entities.path
    }


def _local_files(patterns: Sequence[str], scratch: Path) -> list[Path]:
    import tensorflow as tf

    found = sorted(path for pattern in patterns for path in tf.io.gfile.glob(pattern) if not tf.io.gfile.isdir(path))
    local = []
    for path in found:
        if is_remote(path):
            scratch.mkdir(parents=True, exist_ok=True)
            copy = scratch / f"{len(local):05d}-{path.rsplit('/', 1)[-1]}"
            tf.io.gfile.copy(path, str(copy))
            path = copy
        local.append(Path(path))
    return local


def _train(dataset: Dataset, folder: Path, wanted: Trained, steps: int | None, start_from: str | None) -> Run:
    settings = dict(wanted.settings)
    if steps:
        if given := sorted({"epochs", "steps_per_epoch"} & set(settings)):
            raise UsageError(f"TrainArgs' num_steps and the setting {given[0]} both say how long; leave one out")
        settings |= {"epochs": 1, "steps_per_epoch": steps}
    own, options = divide_settings(wanted.model, settings, {}, len(dataset.candidates))
    return train(dataset, folder, wanted.model, own, options, progress=False, start_from=start_from)


def upload(folder: Path, names: Sequence[str], to: str) -> None:
    """Copies some folders within a folder to a place that `tf.io.gfile` understands; those that there are."""
    import tensorflow as tf

    for path in sorted(path for name in names for path in (folder / name).rglob("*") if path.is_file()):
        place = f"{to.rstrip('/')}/{path.relative_to(folder).as_posix()}"
        tf.io.gfile.makedirs(place.rsplit("/", 1)[0])
        tf.io.gfile.copy(str(path), place, overwrite=True)
