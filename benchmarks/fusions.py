"""Every fusion on the embedded catalogue, whose best ranking is known, whole and with half of a modality gone.

    python benchmarks/fusions.py --json fusions.json --markdown fusions.md --plot fusions.png

A two-tower model is trained for each fusion, with everything else as it is: on the catalogue as it is, on one in which
a seeded half of the candidates has no picture, and on one in which as many have no words (title and description). What
is printed is the share of the best possible NDCG@20 that is reached on the test part, warm and cold candidates apart.
The best ranking is the same in all three: what shoppers like does not change with what is written down of it.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import csv
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import machine, parser, publish, spread

from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.fashion import write_fashion
from tfmmrec.models.candidate_fusions import FUSIONS
from tfmmrec.run_evaluation import evaluate_run
from tfmmrec.training import train
from tfmmrec.training_options import TrainingOptions
from tfmmrec.zoo import ZOO

METRIC = "ndcg@20"
SLICES = ("warm", "cold")
REMOVED = {"whole": (), "half without pictures": ("picture",), "half without words": ("title", "description")}
"""Catalogue -> columns that half of its candidates lack."""


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=3, help="how many, from --seed on: of catalogue and training")
    options.add_argument("--fusions", default=",".join(FUSIONS), help="which, separated by commas")
    options.add_argument("--epochs", type=int, help="at most so many; the zoo's default unless given")
    options.add_argument("--size", type=int, help="candidates of the catalogue; the demo's unless given")
    options.add_argument("--markdown", type=Path, metavar="FILE", help="write the table here")
    options.add_argument("--csv", type=Path, metavar="FILE", help="write the rows here as CSV")
    options.add_argument("--plot", type=Path, metavar="FILE", help="draw the losses here (.png or .svg)")
    arguments = options.parse_args()
    fusions = arguments.fusions.split(",")
    if unknown := sorted(set(fusions) - set(FUSIONS)):
        options.error(f"--fusions: {', '.join(unknown)} is none of {', '.join(FUSIONS)}")
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    given = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    sizes = {} if arguments.size is None else {"num_candidates": arguments.size}
    found = _measure(fusions, seeds, given, sizes)
    table = _markdown(found)
    print(table, file=sys.stderr)
    if arguments.markdown:
        arguments.markdown.write_text(table, encoding="utf-8")
    if arguments.csv:
        _write_csv(arguments.csv, found)
    if arguments.plot:
        _draw(arguments.plot, found)
    publish({"metric": METRIC, "seeds": list(seeds), "shares": found, "machine": machine()}, arguments.json)


def _measure(fusions: list[str], seeds: range, options: dict, sizes: dict) -> dict:
    """Fusion -> catalogue -> slice (and minutes) -> spread over the seeds."""
    values: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for seed in seeds:
            whole = write_fashion(Path(temporary) / f"{seed}" / "whole", seed=seed, **sizes)
            for name, columns in REMOVED.items():
                folder = _without(whole, columns, seed) if columns else whole
                dataset = load_dataset(folder)
                for fusion in fusions:
                    run = Path(temporary) / "run"
                    shutil.rmtree(run, ignore_errors=True)
                    start = time.perf_counter()
                    chosen = TrainingOptions(**(ZOO["two_tower"].training | options | {"seed": seed}))
                    trained = train(dataset, run, "two_tower", {"fusion": fusion}, chosen)
                    minutes = (time.perf_counter() - start) / 60
                    evaluation = evaluate_run(trained, ks=(20,), dataset=dataset, baselines=False, report=False)
                    shares = evaluation.metrics["share_of_oracle"]
                    row = {part: shares[part][METRIC] for part in SLICES} | {"minutes": minutes}
                    values.setdefault((fusion, name), []).append(row)
                    print(f"seed {seed}, {name}: {fusion} {row}", file=sys.stderr, flush=True)
    found: dict = {}
    for (fusion, name), rows in values.items():
        found.setdefault(fusion, {})[name] = {part: spread([row[part] for row in rows]) for part in rows[0]}
    return found


def _without(whole: Path, columns: tuple[str, ...], seed: int) -> Path:
    """A copy of a catalogue in which a seeded half of the candidates has nothing in some columns."""
    folder = whole.with_name("_".join(columns))
    shutil.copytree(whole, folder)
    table = pd.read_csv(folder / "items.csv", dtype=str, keep_default_na=False)
    rows = np.random.default_rng((seed, 1)).permutation(len(table))[: len(table) // 2]
    table.loc[table.index[rows], list(columns)] = ""
    table.to_csv(folder / "items.csv", index=False, lineterminator="\n")
    return folder


def _markdown(found: dict) -> str:
    heads = [f"{name}, {part}" for name in REMOVED for part in SLICES]
    lines = [f"| fusion | {' | '.join(heads)} | minutes |", "|---" * (len(heads) + 2) + "|"]
    for fusion, catalogues in sorted(found.items(), key=lambda item: -item[1]["whole"]["cold"]["median"]):
        cells = [_share(catalogues[name][part]) for name in REMOVED for part in SLICES]
        lines.append(f"| {fusion} | {' | '.join(cells)} | {catalogues['whole']['minutes']['median']:.1f} |")
    return "\n".join(lines) + "\n"


def _share(values: dict[str, float]) -> str:
    middle, low, high = (f"{values[name]:.0%}" for name in ("median", "low", "high"))
    return middle if low == high else f"{middle} ({low} to {high})"


def _write_csv(path: Path, found: dict) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["fusion", "catalogue", "metric", "median", "low", "high"])
        for fusion, catalogues in found.items():
            for name, metrics in catalogues.items():
                for metric, values in metrics.items():
                    writer.writerow([fusion, name, metric, *(values[key] for key in ("median", "low", "high"))])


def _draw(path: Path, found: dict) -> None:
    """For each fusion, what share of its own quality is lost where half of the candidates lack a modality."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fusions = sorted(found, key=lambda fusion: found[fusion]["whole"]["cold"]["median"])
    figure, axes = plt.subplots(1, 2, figsize=(10, 1.5 + 0.5 * len(fusions)), sharey=True, layout="constrained")
    height = 0.8 / len(REMOVED)
    for axis, part in zip(axes, SLICES, strict=True):
        for place, name in enumerate(REMOVED):
            shares = [found[fusion][name][part] for fusion in fusions]
            middle, low, high = (np.array([share[key] for share in shares]) for key in ("median", "low", "high"))
            offset = np.arange(len(fusions)) + (1 - place) * height
            axis.barh(offset, middle, height, label=name, xerr=[middle - low, high - middle], ecolor="gray")
            if place:
                whole = np.array([found[fusion]["whole"][part]["median"] for fusion in fusions])
                for y, end, lost in zip(offset, high, middle / whole - 1, strict=True):
                    axis.annotate(f"{lost:+.0%}", (end, y), (3, 0), textcoords="offset points", va="center", size=7)
        axis.set(title=f"{part} candidates", xlabel="share of the best possible NDCG@20")
        axis.xaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
        axis.margins(x=0.12)
    axes[0].set_yticks(range(len(fusions)), [fusion.replace("_", "-") for fusion in fusions])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(REMOVED))
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
