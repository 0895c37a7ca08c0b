"""The two-tower model on MovieLens-1M with posters and plots, beside what it has to beat.

    python benchmarks/movielens.py FOLDER --json movielens.json --markdown movielens.md

FOLDER holds train.parquet, test.parquet (user_id, movie_id), items.csv (movie_id, title, year, genres, plot, poster)
and users.csv (user_id, age, gender, occupation). Two datasets are made of it: `warm`, the files as they are, and
`cold`, where a seeded fifth of the movies is held out of training altogether and ranked among themselves.

Every row is trained with the defaults of `tfmmrec train`, on train alone: the epoch is chosen on a tenth of it, then
the model is trained again on all of it. EASE's regularisation is chosen on such a tenth too. `genre profile` scores a
movie by how often its genres stand in the query's history. Seeds change the weights, the batches and what is held out
for validation; of `cold` also which movies are.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import yaml
from measuring import machine, parser, publish, spread

from tfmmrec.baseline_evaluation import evaluate_baselines
from tfmmrec.baselines import random_scorer
from tfmmrec.data.dataset import Dataset, load_dataset
from tfmmrec.evaluation import evaluate
from tfmmrec.run_evaluation import evaluate_run
from tfmmrec.training import train

K = 20
CONFIG = """
interactions: {train: train.parquet, test: test.parquet, query: user_id, candidate: movie_id}
candidates:
  path: items.csv
  id: movie_id
  display: [title, poster]
  features:
    title: {kind: text}
    plot: {kind: text}
    poster: {kind: image}
    genres: {kind: category, separator: "|"}
    year: {kind: number}
queries:
  path: users.csv
  id: user_id
  history: {length: 1000}
  features: {age: {kind: category}, gender: {kind: category}, occupation: {kind: category}}
"""


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("folder", type=Path, help="the data set's folder")
    options.add_argument("--seeds", type=int, default=3, help="how many, from --seed on")
    options.add_argument("--models", default="two_tower", help="names of the zoo, separated by commas")
    options.add_argument("--parts", default="warm,cold", help="warm, cold, or both")
    options.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables here as Markdown")
    arguments = options.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    found = {
        part: _measure(arguments.folder, part, arguments.models.split(","), seeds)
        for part in arguments.parts.split(",")
    }
    tables = "\n".join(_table(part, rows) for part, rows in found.items())
    print(tables, file=sys.stderr)
    if arguments.markdown:
        arguments.markdown.write_text(tables, encoding="utf-8")
    publish({"k": K, "seeds": list(seeds), "parts": found, "machine": machine()}, arguments.json)


def _measure(folder: Path, part: str, models: list[str], seeds: range) -> dict:
    """Row -> metric -> its spread over the seeds."""
    values: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        dataset = _dataset(folder, cold=part == "cold", seed=seed)
        for name, metrics in _baselines(dataset, part, seed).items():
            values.setdefault(name, []).append(metrics)
        for model in models:
            values.setdefault(model, []).append(_trained(dataset, part, model, seed))
            print(f"{part}, seed {seed}: {model} {json.dumps(values[model][-1])}", file=sys.stderr)
    return {
        name: {metric: spread([entry[metric] for entry in entries]) for metric in entries[0]}
        for name, entries in values.items()
    }


def _dataset(folder: Path, cold: bool, seed: int) -> Dataset:
    config = yaml.safe_load(CONFIG)
    if cold:
        config["interactions"] |= {"cold_candidates": 0.2, "seed": seed}
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "dataset.yaml"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        return load_dataset(folder, file)


def _baselines(dataset: Dataset, part: str, seed: int) -> dict[str, dict[str, float]]:
    found, notes = evaluate_baselines(dataset, ks=(K,), seed=seed)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    rows = {name: _chosen(metrics, part) for name, metrics in found.items()}
    own: dict[str, Callable] = {"random": random_scorer(dataset, seed), "genre profile": genre_profile(dataset)}
    for name, scorer in own.items():
        rows[name] = _chosen(evaluate(scorer, dataset, ks=(K,), num_recommendations=0).metrics, part)
    return rows


def _trained(dataset: Dataset, part: str, model: str, seed: int) -> dict[str, float]:
    from tfmmrec.training_options import TrainingOptions
    from tfmmrec.zoo import ZOO

    with tempfile.TemporaryDirectory() as temporary:
        start = time.perf_counter()
        options = TrainingOptions(**(ZOO[model].training | {"seed": seed}))
        run = train(dataset, Path(temporary) / "run", model, options=options)
        minutes = (time.perf_counter() - start) / 60
        metrics = evaluate_run(run, ks=(K,), dataset=dataset, baselines=False, report=False).metrics
        return _chosen(metrics, part) | {"minutes": round(minutes, 1), "epochs": run.config.num_epochs}


def _chosen(metrics: dict, part: str) -> dict[str, float]:
    found = metrics["all" if part == "warm" else "cold"]
    return {name: round(found[name], 4) for name in (f"recall@{K}", f"ndcg@{K}")}


def genre_profile(dataset: Dataset) -> Callable[[np.ndarray], np.ndarray]:
    """Scores a movie by the share of the query's history that each of its genres has, on average over its genres."""
    genres = [(value or "").split("|") for value in dataset.candidates.features["genres"].to_pylist()]
    names = sorted({name for row in genres for name in row if name})
    hot = np.array([[name in row for name in names] for row in genres], np.float32)
    hot /= np.maximum(hot.sum(axis=1, keepdims=True), 1.0)

    def score(query_rows: np.ndarray) -> np.ndarray:
        profiles = [hot[dataset.train.candidates_of(int(row))].sum(axis=0) for row in query_rows]
        return np.stack(profiles) @ hot.T

    return score


def _table(part: str, rows: dict) -> str:
    titles = {"warm": "All movies", "cold": "Movies held out of training, among themselves"}
    lines = [f"{titles[part]}:\n", f"| | Recall@{K} | NDCG@{K} | minutes |", "|---|---|---|---|"]
    for name, metrics in sorted(rows.items(), key=lambda row: row[1][f"ndcg@{K}"]["median"]):
        cells = [_cell(metrics[metric]) for metric in (f"recall@{K}", f"ndcg@{K}")]
        minutes = f"{metrics['minutes']['median']:.1f}" if "minutes" in metrics else ""
        lines.append(f"| {name.replace('_', ' ')} | {cells[0]} | {cells[1]} | {minutes} |")
    return "\n".join(lines) + "\n"


def _cell(values: dict[str, float]) -> str:
    middle, low, high = (f"{values[name]:.3f}".lstrip("0") for name in ("median", "low", "high"))
    return middle if low == high else f"{middle} ({low} to {high})"


if __name__ == "__main__":
    main()
