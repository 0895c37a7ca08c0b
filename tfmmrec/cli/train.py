"""`tfmmrec train`: a dataset into the folder of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfmmrec.cli.output import Json, console
from tfmmrec.cli.quiet import import_tensorflow
from tfmmrec.cli.settings import divide_settings, parse_settings
from tfmmrec.types import UsageError

if TYPE_CHECKING:
    from tfmmrec.run_config import RunConfig

_ALONE = ("cpu", "mirrored", "tpu")
"""Strategies of one process."""


def train(
    dataset: Annotated[Path, typer.Argument(help="The dataset's folder.", show_default=False)],
    run: Annotated[
        Path, typer.Option(help="The run's folder; new, or with --resume begun before.", show_default=False)
    ],
    model: Annotated[
        str | None, typer.Option(help="A model of `tfmmrec zoo models`; two_tower when left out.", show_default=False)
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the model or its training; repeat for more."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Another yaml than the folder's dataset.yaml.", show_default=False)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many.", show_default=False)] = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="auto, cpu, mirrored (all GPUs), multiworker, parameter_server or tpu.", show_default=False),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT,...",
            help="All workers, the same list for each; instead of TF_CONFIG. The first writes the run.",
            show_default=False,
        ),
    ] = None,
    worker_index: Annotated[
        int | None, typer.Option(help="Which of the --workers this is, from 0.", show_default=False)
    ] = None,
    servers: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT,...",
            help="All parameter servers; the first of the --workers then only tells the others what to do.",
            show_default=False,
        ),
    ] = None,
    server_index: Annotated[
        int | None, typer.Option(help="Which of the --servers this is, from 0.", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, batches and dropout.", show_default=False)] = None,
    mixed_precision: Annotated[str | None, typer.Option(help="none, float16 or bfloat16.", show_default=False)] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same numbers to the last digit in every run; slower.")
    ] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write logs to RUN/tensorboard.")] = False,
    no_refit: Annotated[
        bool, typer.Option("--no-refit", help="Keep the best epoch's weights; do not train on the validation part.")
    ] = False,
    start_from: Annotated[
        Path | None,
        typer.Option(
            help="A finished run, of this catalogue or another, whose words, pictures and fusion it begins with.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a stopped training stood.")] = False,
    json: Json = False,
) -> dict[str, Any]:
    """Train a model: the epoch is chosen on validation data. If these were held out of train, it is then trained again
    on all of it; a validation part of the dataset's own stays apart.

    Stopped at any moment, --resume goes on from the last checkpoint, with the settings it was begun with.
    """
    _set_cluster(workers, worker_index, servers, server_index)
    flags = {
        "epochs": epochs,
        "strategy": strategy,
        "seed": seed,
        "mixed_precision": mixed_precision,
        "deterministic": deterministic or None,
        "tensorboard": tensorboard or None,
        "refit": False if no_refit else None,
    }
    settings = parse_settings(set_ or [])
    begun = _begun(run) if resume else None
    chosen = (strategy or settings.get("strategy", "auto")) if begun is None else begun.options.get("strategy", "auto")
    if chosen in _ALONE or not os.environ.get("TF_CONFIG"):  # several processes meet first: all learn what is wrong
        _check_folders(dataset, config, start_from if begun is None else None)
    import_tensorflow()
    from tfmmrec.data.dataset import load_dataset
    from tfmmrec.parameter_servers.supported import check_settings
    from tfmmrec.runs import read_start
    from tfmmrec.strategies import is_helper, make_strategy, uses_servers
    from tfmmrec.training import train as fit
    from tfmmrec.transfer import describe_transfer
    from tfmmrec.workers import Workers

    model = model or ("two_tower" if begun is None else begun.model)
    own, options = divide_settings(model, settings, flags)  # refuses what is wrong before the data are read
    options = options if begun is None else type(options)(**begun.options)
    if workers is not None and options.strategy not in ("auto", "multiworker", "parameter_server"):
        raise UsageError(f"--workers goes with --strategy multiworker or parameter_server, not {options.strategy}")
    if uses_servers(options.strategy):
        check_settings(model, options, own.get("loss") if begun is None else begun.hyperparameters.get("loss"))
    if is_helper(options.strategy):
        return _help(run)
    worker = Workers(make_strategy(options.strategy, options.shard_bytes))  # before anything is computed
    named = None if config is None else str(config.resolve() if config.exists() else config)
    found = load_dataset(dataset, named)
    own, options = divide_settings(model, settings, flags, len(found.candidates))
    if begun is not None:
        given = {*settings, *(name for name, value in flags.items() if value is not None)}
        _check_same(begun, model, own | options.model_dump(), given)
    if begun is not None and start_from is not None and str(start_from.resolve()) != begun.start_from:
        raise UsageError(f"--resume: the run was begun with --start-from {begun.start_from}; leave it out")
    noted = _note(found.issues)
    finished = fit(found, run, model, own, options, resume=resume, dataset_config=named, start_from=start_from)
    _note(found.issues, noted)  # pictures are read while they are encoded
    validation = {name.removeprefix("val_"): value for name, value in finished.config.validation.items()}
    answer = {"run": str(run), "model": model, "num_epochs": finished.config.num_epochs, "validation": validation}
    taken = read_start(run)
    answer |= {"taken_over": taken} if taken else {}
    shown = ", ".join(f"{name} {validation[name]:.4f}" for name in ("recall@20", "ndcg@20") if name in validation)
    out = console()
    out.print(f"{model}: {answer['num_epochs']} epochs, on validation data {shown}", markup=False, soft_wrap=True)
    for line in describe_transfer(taken):
        out.print(f"Taken over, {line}", markup=False, soft_wrap=True)
    if begun is not None and begun.finished:
        out.print(f"{run} was finished already. Next: tfmmrec evaluate {run}", markup=False, soft_wrap=True)
    elif worker.is_chief:
        out.print(f"Wrote {run}. Next: tfmmrec evaluate {run}", markup=False, soft_wrap=True)
    else:
        out.print(f"This was worker {worker.index}; worker 0 wrote {run}.", markup=False, soft_wrap=True)
    return answer


def _begun(run: Path) -> RunConfig | None:
    """The config of a run that --resume goes on with; None where it had not begun yet."""
    from tfmmrec.run_config import read_config

    return read_config(run) if (run / "config.json").exists() else None


def _check_folders(dataset: Path, config: Path | None, start_from: Path | None) -> None:
    """Refuses folders that hold something else, before TensorFlow is imported."""
    from tfmmrec.data.config import read_schema
    from tfmmrec.run_config import read_finished

    read_schema(dataset, config)
    if start_from is not None:
        read_finished(start_from)


def _note(issues, noted=frozenset()) -> frozenset:
    """Tells what was survived, unless it has been told; returns what has been told by now."""
    for issue in issues:
        if (issue.kind, issue.where) not in noted:
            console(stderr=True).print(f"Note: {issue}", markup=False, soft_wrap=True)
    return noted | {(issue.kind, issue.where) for issue in issues}


def _help(run: Path) -> dict[str, Any]:
    """Serves the chief of a training with parameter servers until it is done."""
    from tfmmrec.cluster import read_cluster
    from tfmmrec.parameter_servers.serving_process import serve

    cluster = read_cluster()
    task = cluster["task"]
    name = f"{'server' if task['type'] == 'ps' else 'worker'} {task['index'] + (task['type'] != 'ps')}"
    console(stderr=True).print(f"{name}: waits for worker 0 and does what it says", markup=False, soft_wrap=True)
    serve(cluster, run)
    console().print(f"This was {name}; worker 0 wrote {run}.", markup=False, soft_wrap=True)
    return {"run": str(run), "was": name}


def _set_cluster(
    workers: str | None, worker_index: int | None, servers: str | None = None, server_index: int | None = None
) -> None:
    from tfmmrec.cluster import write_cluster

    if servers is None:
        if server_index is not None:
            raise UsageError("--server-index goes with --servers, the list of all")
        if (workers is None) != (worker_index is None):
            raise UsageError("--workers and --worker-index go together: the list of all, and which of them this is")
    elif workers is None or (worker_index is None) == (server_index is None):
        raise UsageError("--servers goes with --workers, and with either --worker-index or --server-index")
    if workers is not None:
        listed = [[one.strip() for one in (part or "").split(",") if one.strip()] for part in (workers, servers)]
        if servers is not None and not listed[1]:
            raise UsageError("--servers names no server: give host:port of each, separated by commas, or leave it out")
        write_cluster(listed[0], worker_index, listed[1], server_index)


def _check_same(begun, model: str, wanted: dict[str, Any], given: set[str]) -> None:
    """Refuses to go on with other settings than the run was begun with; those that are not given may be any."""
    if begun.model != model:
        raise UsageError(f"--resume: the run was begun with --model {begun.model}, not {model}; leave it out")
    was = begun.hyperparameters | begun.options
    for key, value in wanted.items():
        if key in given and (key not in was or was[key] != value):
            shown = f"with {key}={was[key]!r}" if key in was else f"without {key}"
            raise UsageError(f"--resume: the run was begun {shown}, not {key}={value!r}; leave the settings out")
