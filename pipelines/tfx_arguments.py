"""What `tfx_pipeline.py` is told, and what follows from it; imports no tfx."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tfmmrec  # noqa: F401  (before TensorFlow)
from tfmmrec.cli.settings import divide_settings, parse_settings
from tfmmrec.data.readers import format_of
from tfmmrec.schema import Schema
from tfmmrec.serving.policy import read_policy
from tfmmrec.serving.stock_server import docker_server
from tfmmrec.types import UsageError

RUNNERS = ("local", "kubeflow", "vertex")
INFRA = ("auto", "docker", "kubernetes", "none")
_FORMATS = {"csv_format": "csv", "parquet_format": "parquet", "tfrecord_format": "tfrecord"}


@dataclass(frozen=True)
class Splits:
    """How ExampleGen gets its splits.

    Attributes:
        kind: csv, parquet or tfrecord.
        patterns: input split -> the files, relative to the dataset's folder.
        shares: output split -> hundredths that are drawn by chance; empty where the input's splits stay.
        train: the splits to train on.
    """

    kind: str
    patterns: dict[str, str]
    shares: dict[str, int] = field(default_factory=dict)
    train: tuple[str, ...] = ("train",)


def splits_of(schema: Schema) -> Splits:
    """The splits of a dataset's interactions.

    Ready-made parts are the splits: `test` is `eval`, and `valid` is trained on, for `run_fn` holds out its own. Of one
    file rows are drawn by chance, as many for `eval` as the yaml has for the test.

    Raises:
        UsageError: a format or a split that no ExampleGen makes.
    """
    log = schema.interactions
    if log.train is None:
        split = log.split_or_default
        if split.method != "ratio":
            raise UsageError(
                f"interactions.split: ExampleGen draws rows by chance (method: ratio), not by method: {split.method}; "
                "write the parts into files and name these as `train` and `test`"
            )
        share = min(max(round(100 * split.test), 1), 99)
        return Splits(_kind(log.path), {"all": log.path}, {"train": 100 - share, "eval": share})
    if log.test is None:
        raise UsageError("interactions: no `test`; it is the split `eval`, with which a model is measured, so name one")
    patterns = {"train": log.train, "valid": log.valid, "eval": log.test}
    patterns = {split: pattern for split, pattern in patterns.items() if pattern}
    kinds = {_kind(pattern) for pattern in patterns.values()}
    if len(kinds) > 1:
        raise UsageError(f"interactions: ExampleGen reads files of one kind, not {' and '.join(sorted(kinds))}")
    return Splits(kinds.pop(), patterns, train=tuple(split for split in patterns if split != "eval"))


def infra_of(chosen: str, runner: str) -> tuple[str, str]:
    """Where InfraValidator runs TensorFlow Serving, and what is to be said of it.

    Args:
        chosen: one of `INFRA`.
        runner: one of `RUNNERS`.

    Returns:
        docker, kubernetes or none, and a sentence.
    """
    if chosen == "none":
        return "none", "InfraValidator is left out, as asked"
    if chosen != "auto":
        return chosen, f"InfraValidator runs TensorFlow Serving on {chosen}"
    if runner != "local":
        return "none", "InfraValidator is left out: --infra kubernetes has it where Kubernetes runs the pipeline"
    found = docker_server("", "", "127.0.0.1", 0, 0, 1.0)
    if isinstance(found, str):
        return "none", f"InfraValidator is left out, for there is no TensorFlow Serving here: {found}"
    return "docker", "InfraValidator runs TensorFlow Serving on docker"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; `custom_config` is made of --model and --set, `policy_json` of --policy.

    Raises:
        UsageError: a model or a setting that there is not.
        DataError: the policy cannot be read.
    """
    parser = argparse.ArgumentParser(prog="python -m pipelines.tfx_pipeline", allow_abbrev=False)
    parser.add_argument("dataset", help="the dataset's folder")
    parser.add_argument("--root", required=True, help="the folder of TFX's artifacts and metadata")
    parser.add_argument("--to", required=True, help="BASE/NAME, which gets the versions")
    parser.add_argument("--name", default="tfmmrec", help="the pipeline's name (tfmmrec)")
    parser.add_argument("--config", help="another yaml than the folder's dataset.yaml")
    parser.add_argument("--model", default="two_tower", help="a model of `tfmmrec zoo models` (two_tower)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of `tfmmrec train`")
    parser.add_argument("--steps", type=int, help="train so many steps, whatever the settings say")
    parser.add_argument("--policy", help="a yaml file of what a model must be, as of `tfmmrec push`")
    parser.add_argument("--schema", help="a curated schema.pbtxt in the place of SchemaGen's")
    parser.add_argument(
        "--infra", choices=INFRA, default="auto", help="where TensorFlow Serving tries the model (auto)"
    )
    parser.add_argument("--cache", action="store_true", help="use earlier results of the same inputs")
    parser.add_argument("--runner", choices=RUNNERS, default="local", help="here, or a specification for a service")
    parser.add_argument("--image", help="of the containers; TFX's own when left out")
    parser.add_argument("--spec", help="the specification's file (pipeline.yaml of kubeflow, pipeline.json of vertex)")
    told = parser.parse_args(arguments)
    settings = parse_settings(told.set)
    divide_settings(told.model, settings, {})  # refuses what is wrong before anything runs
    if told.steps:
        settings = {name: value for name, value in settings.items() if name not in ("epochs", "steps_per_epoch")}
    told.custom_config = {"model": told.model, "settings": settings}
    told.policy_json = read_policy(told.policy).model_dump_json()
    return told


def _kind(pattern: str) -> str:
    kind = _FORMATS.get(format_of(Path(pattern)) or "")
    if kind is None or kind == "csv" and not pattern.endswith(".csv"):
        raise UsageError(f"interactions: ExampleGen reads .csv, .parquet or .tfrecord, not {pattern}")
    return kind
