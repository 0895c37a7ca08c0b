"""What the benchmarks of quality have in common: models of the zoo and baselines, seed by seed, in one table."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from measuring import machine, parser, publish, spread

from tfmmrec.baseline_evaluation import evaluate_baselines
from tfmmrec.baselines import random_scorer
from tfmmrec.data.dataset import Dataset, load_dataset
from tfmmrec.evaluation import Scorer, evaluate
from tfmmrec.run_evaluation import evaluate_run
from tfmmrec.training import train

K = 20
METRICS = (f"recall@{K}", f"ndcg@{K}")
_MORE: dict[str, Callable[[float], str]] = {  # column -> how its median is shown
    "cold": lambda value: _short(value),
    "examples/s": lambda value: f"{value:,.0f}",
    "parameters": lambda value: f"{value / 1e6:.1f} M",
    "minutes": lambda value: f"{value:.1f}",
}


def arguments(description: str, models: str | None) -> argparse.ArgumentParser:
    """The arguments of a benchmark of quality.

    Args:
        description: of the benchmark.
        models: what it trains unless told otherwise; None where it depends.
    """
    options = parser(description)
    options.add_argument("folder", type=Path, help="the data set's folder")
    options.add_argument("--seeds", type=int, default=3, help="how many, from --seed on")
    options.add_argument(
        "--models", default=models, help="names of the zoo, separated by commas; `name:key=value` sets"
    )
    options.add_argument("--keep", type=Path, metavar="FOLDER", help="keep each row here, and go on from those kept")
    options.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables here as Markdown")
    options.add_argument("--csv", type=Path, metavar="FILE", help="write the rows here as CSV")
    options.add_argument("--plot", type=Path, metavar="FILE", help="draw the rows here as a picture (.png or .svg)")
    return options


def dataset_of(folder: Path, config: Mapping) -> Dataset:
    """The dataset of a folder that may not be written to, by a description that is not in it."""
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "dataset.yaml"
        file.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
        return load_dataset(folder, file)


def measure(
    dataset: Callable[[int], Dataset],
    models: str,
    seeds: range,
    slice_name: str = "all",
    baselines: Mapping[str, Callable[[Dataset], Scorer]] | None = None,
    keep: Path | None = None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Row -> metric -> its spread over the seeds.

    Every model is trained with the defaults of `tfmmrec train`, and with what is set behind its name. "minutes" are of
    its training, "examples/s" are interactions over the median of its epochs' times, "parameters" are the numbers it
    learns. Where the slice is "all", "cold" is the same Recall of the candidates that train does not have, where test
    has any, ranked among themselves.

    Args:
        dataset: seed -> the dataset.
        models: names of the zoo, separated by commas, each with settings behind it or not: `two_tower:fusion=gated`.
        seeds: of weights, batches and what is held out.
        slice_name: of the evaluation.
        baselines: name -> dataset -> scorer, beside random and those that every evaluation has.
        keep: a folder with what was measured so far, to which every trained row is added.
    """
    values: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        data = dataset(seed)
        for name, metrics in _baselines(data, slice_name, seed, baselines or {}).items():
            values.setdefault(name, []).append(metrics)
        for model in models.split(","):
            values.setdefault(model, []).append(_kept(keep, data, slice_name, model, seed))
            print(f"{slice_name}, seed {seed}: {model} {json.dumps(values[model][-1])}", file=sys.stderr, flush=True)
    return {
        name: {metric: spread([entry[metric] for entry in entries]) for metric in entries[0]}
        for name, entries in values.items()
    }


def _kept(keep: Path | None, dataset: Dataset, slice_name: str, model: str, seed: int) -> dict[str, float]:
    if keep is None:
        return _trained(dataset, slice_name, model, seed)
    name = "".join(sign if sign.isalnum() or sign in "_=.," else "-" for sign in model)
    file = keep / f"{dataset.fingerprint[:12]}-{slice_name}-{name}-{seed}.json"
    return kept(file, lambda: _trained(dataset, slice_name, model, seed))


def kept(file: Path, measured: Callable[[], dict]) -> dict:
    """What a file has, or what is measured now and written there."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(measured())
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.rename(file)
    return json.loads(file.read_text(encoding="utf-8"))


def _baselines(dataset: Dataset, slice_name: str, seed: int, more: Mapping) -> dict[str, dict[str, float]]:
    found, notes = evaluate_baselines(dataset, ks=(K,), seed=seed)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    rows = {name: _chosen(metrics, slice_name) for name, metrics in found.items() if slice_name in metrics}
    scorers = {"random": random_scorer(dataset, seed)} | {name: make(dataset) for name, make in more.items()}
    for name, scorer in scorers.items():
        rows[name] = _chosen(evaluate(scorer, dataset, ks=(K,), num_recommendations=0).metrics, slice_name)
    return rows


def _trained(dataset: Dataset, slice_name: str, model: str, seed: int) -> dict[str, float]:
    name, *given = model.split(":")
    settings = {key: yaml.safe_load(value) for key, value in (pair.split("=", 1) for pair in given)}
    with tempfile.TemporaryDirectory() as temporary:
        return trained(dataset, slice_name, name, settings, seed, Path(temporary) / "run")


def trained(
    dataset: Dataset,
    slice_name: str,
    model: str,
    settings: Mapping,
    seed: int,
    folder: Path,
    start_from: Path | None = None,
) -> dict[str, float]:
    """Trains a model in a folder, and says what came of it.

    Args:
        dataset: trained and evaluated on.
        slice_name: of the evaluation.
        model: a name of the zoo.
        settings: its hyperparameters and options that differ from the defaults of `tfmmrec train`.
        seed: of the training.
        folder: of the run.
        start_from: a run to begin with.
    """
    import tensorflow as tf

    from tfmmrec.training_options import TrainingOptions
    from tfmmrec.zoo import ZOO

    tf.get_logger().setLevel("ERROR")  # every model is traced anew, which it would warn of
    settings = dict(settings)
    start = time.perf_counter()
    own = {key: settings.pop(key) for key in list(settings) if key in TrainingOptions.model_fields}
    options = TrainingOptions(**(ZOO[model].training_of(settings, len(dataset.candidates)) | own | {"seed": seed}))
    run = train(dataset, folder, model, settings, options, start_from=start_from)
    minutes = (time.perf_counter() - start) / 60
    metrics = evaluate_run(run, ks=(K,), dataset=dataset, baselines=False, report=False).metrics
    parameters = sum(int(np.prod(weight.shape)) for weight in run.model.trainable_weights)
    seconds = pd.read_csv(run.path / "history.csv")["seconds"].median()
    num_rows = (options.steps_per_epoch or 0) * options.batch_size or dataset.train.num_rows
    return _chosen(metrics, slice_name) | {
        "examples/s": round(num_rows / seconds),
        "minutes": round(minutes, 1),
        "epochs": run.config.num_epochs,
        "parameters": parameters,
    }


def _chosen(metrics: Mapping[str, Mapping[str, float]], slice_name: str) -> dict[str, float]:
    found = {name: round(metrics[slice_name][name], 4) for name in METRICS}
    if slice_name == "all" and "cold" in metrics:
        found["cold"] = round(metrics["cold"][METRICS[0]], 4)
    return found


def report(
    found: Mapping[str, Mapping],
    seeds: range,
    options: argparse.Namespace,
    published: Mapping[str, tuple] | None = None,
) -> None:
    """Prints and writes what was found, as the arguments ask.

    Args:
        found: title of a table -> its rows, from `measure`.
        seeds: that were used.
        options: parsed `arguments`.
        published: name -> Recall and NDCG that others have printed, shown beside ours.
    """
    tables = "\n".join(_table(title, rows, published or {}) for title, rows in found.items())
    print(tables, file=sys.stderr)
    if options.markdown:
        options.markdown.write_text(tables, encoding="utf-8")
    if options.csv:
        _write_csv(options.csv, found, published or {})
    if options.plot:
        _draw(options.plot, found, published or {})
    publish({"k": K, "seeds": list(seeds), "tables": found, "machine": machine()}, options.json)


def _table(title: str, rows: Mapping, published: Mapping[str, tuple]) -> str:
    head = f"| | Recall@{K} | NDCG@{K} | {' | '.join(_MORE)} |"
    lines = [f"{title}:\n", head, "|---" * (3 + len(_MORE)) + "|"]
    entries = [(metrics[METRICS[1]]["median"], _row(name, metrics)) for name, metrics in rows.items()]
    entries += [
        (ndcg, f"| *{name}, published* | {_short(recall)} | {_short(ndcg)} |" + " |" * len(_MORE))
        for name, (recall, ndcg) in published.items()
    ]
    return "\n".join([*lines, *(line for _, line in sorted(entries))]) + "\n"


def _row(name: str, metrics: Mapping) -> str:
    cells = [_cell(metrics[metric]) for metric in METRICS]
    cells += [show(metrics[column]["median"]) if column in metrics else "" for column, show in _MORE.items()]
    return f"| {name.replace('_', ' ')} | {' | '.join(cells)} |"


def _cell(values: Mapping[str, float]) -> str:
    middle, low, high = (_short(values[name]) for name in ("median", "low", "high"))
    return middle if low == high else f"{middle} ({low} to {high})"


def _short(value: float) -> str:
    return f"{value:.4f}".lstrip("0")


def _write_csv(path: Path, found: Mapping, published: Mapping[str, tuple]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["table", "name", "metric", "median", "low", "high"])
        for title, rows in found.items():
            for name, metrics in rows.items():
                for metric, values in metrics.items():
                    writer.writerow([title, name, metric, *(values[key] for key in ("median", "low", "high"))])
            for name, values in published.items():
                for metric, value in zip(METRICS, values, strict=True):
                    writer.writerow([title, f"{name}, published", metric, value, value, value])


def _draw(path: Path, found: Mapping, published: Mapping[str, tuple]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    heights = [len(rows) + len(published) for rows in found.values()]
    figure, axes = plt.subplots(
        len(found), 1, figsize=(8, 1 + 0.35 * sum(heights)), squeeze=False, height_ratios=heights, layout="constrained"
    )
    for axis, (title, rows) in zip(axes[:, 0], found.items(), strict=True):
        bars = [(metrics[METRICS[1]], name.replace("_", " "), "tab:blue") for name, metrics in rows.items()]
        bars += [
            ({"median": ndcg, "low": ndcg, "high": ndcg}, f"{name}, published", "lightgray")
            for name, (_, ndcg) in published.items()
        ]
        bars.sort(key=lambda bar: bar[0]["median"])
        middle = np.array([values["median"] for values, _, _ in bars])
        low, high = (np.array([values[key] for values, _, _ in bars]) for key in ("low", "high"))
        axis.barh([name for _, name, _ in bars], middle, color=[color for _, _, color in bars])
        axis.errorbar(middle, range(len(bars)), xerr=[middle - low, high - middle], fmt="none", ecolor="black")
        axis.set(title=title, xlabel=f"NDCG@{K}: median, lowest and highest of the seeds")
    figure.savefig(path, dpi=120)
    plt.close(figure)
