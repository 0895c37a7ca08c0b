"""`tfmmrec evaluate`: a run beside its baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tfmmrec.cli.first_checks import check_run
from tfmmrec.cli.output import Json, console, counted, table
from tfmmrec.cli.quiet import import_tensorflow
from tfmmrec.types import UsageError

_FEWEST = 10  # queries of a slice that the console shows; the mean over fewer says nothing


def evaluate(
    run: Annotated[Path, typer.Argument(help="The run's folder.", show_default=False)],
    split: Annotated[str, typer.Option(help="The part to evaluate on: test or valid.")] = "test",
    k: Annotated[str, typer.Option(help="Cut-offs, separated by commas.")] = "10,20,50",
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="The dataset's folder, if it is not where it was when the run was trained.", show_default=False
        ),
    ] = None,
    other_data: Annotated[
        bool, typer.Option("--other-data", help="Measure data too that the run was not trained on, with a note.")
    ] = False,
    retriever: Annotated[
        Path | None,
        typer.Option(
            help="For a ranking model: the run of the retrieval model whose best candidates it orders.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> dict[str, Any]:
    """Rank the whole catalogue for every query of a split, beside simple baselines.

    Writes metrics.json, recommendations.parquet and report.html into the run's folder; for the split valid
    metrics.valid.json and so on.
    """
    ks = _cutoffs(k)
    check_run(run, retriever, dataset)
    import_tensorflow()
    from tfmmrec.callbacks.stage_bar import StageBar
    from tfmmrec.run_evaluation import evaluate_run, run_files
    from tfmmrec.runs import load_run

    loaded = load_run(run)
    data = loaded.load_dataset(dataset)
    metrics = evaluate_run(
        loaded, split, ks, data, progress=StageBar(), other_data=other_data, retriever=retriever
    ).metrics
    files = run_files(run, split)
    _show(metrics, loaded.config.model, files)
    return metrics | {"files": files}


def _cutoffs(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--k must be whole numbers separated by commas, such as 10,20, got {text!r}") from None


def _show(metrics: dict[str, Any], model: str, files: dict[str, Path]) -> None:
    from tfmmrec.report.metric_names import cutoffs, main_cutoff, main_slices, metric_label, slice_label, slices_of

    out = console()
    k = main_cutoff(cutoffs(metrics))
    main = main_slices(metrics)
    title = f"{metrics['split']}, {counted(metrics['num_queries'], 'query', 'queries')}"
    out.print(_table(metrics, model, main, [f"recall@{k}", f"ndcg@{k}"], title))
    missing = [name for name in slices_of(metrics) if name not in main and metrics[name]["num_queries"] >= _FEWEST]
    if missing:
        out.print(_table(metrics, model, missing, [f"ndcg@{k}"], "where something is missing", sizes=True))
    if "share_of_oracle" in metrics:
        shares = [
            f"{slice_label(name).lower()} {metrics['share_of_oracle'][name][f'ndcg@{k}']:.0%}"
            for name in main
            if f"ndcg@{k}" in metrics["share_of_oracle"].get(name, {})
        ]
        out.print(f"{model} reaches of the best possible {metric_label(f'ndcg@{k}')}: {', '.join(shares)}.")
    for line in _task_lines(metrics.get("tasks", {})):
        out.print(line)
    for note in metrics["notes"]:
        out.print(note, markup=False)
    out.print("Wrote " + ", ".join(str(path) for path in files.values()), markup=False, soft_wrap=True)


def _task_lines(tasks: dict[str, dict[str, Any]]) -> list[str]:
    """What a model predicts beside its ranking, a line for each task."""
    lines = []
    for name, found in tasks.items():
        if name == "rating":
            what = f"{counted(found['num_ratings'], 'rating', 'ratings')}: RMSE {found['rmse']:.4f}"
            lines.append(f"{what} (the mean {found['mean_rmse']:.4f}, biases alone {found['biases_rmse']:.4f}).")
        else:
            metric = "r_precision" if "r_precision" in found else "accuracy"
            what = f"{name} of {counted(found['num_candidates'], 'new candidate', 'new candidates')}"
            often = f"the most frequent {found['most_frequent']:.4f}"
            lines.append(f"{what}: {metric.replace('_', '-')} {found[metric]:.4f} ({often}).")
    return lines


def _table(metrics: dict[str, Any], model: str, slices: list[str], shown: list[str], title: str, sizes: bool = False):
    from tfmmrec.report.metric_names import metric_label, model_label, slice_label

    columns = [(name, metric) for name in slices for metric in shown]
    models = {model: metrics} | {model_label(name): found for name, found in metrics.get("baselines", {}).items()}
    if "oracle" in metrics:
        models["best possible"] = metrics["oracle"]
    rows = [[label, *(found.get(name, {}).get(metric) for name, metric in columns)] for label, found in models.items()]
    heads = [f"{slice_label(name)}\n{metric_label(metric)}" for name, metric in columns]
    if sizes:
        counts = [counted(metrics[name]["num_queries"], "query", "queries") for name, _ in columns]
        heads = [f"{head}\n{count}" for head, count in zip(heads, counts, strict=True)]
    return table(["", *heads], rows, title=title, numbers=range(1, 1 + len(columns)))
