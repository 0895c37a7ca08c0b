"""Two-tower models on MovieLens-1M with posters and plots, beside what they have to beat.

    python benchmarks/movielens.py FOLDER --json movielens.json --markdown movielens.md

FOLDER holds train.parquet, test.parquet (user_id, movie_id), items.csv (movie_id, title, year, genres, plot, poster)
and users.csv (user_id, age, gender, occupation). Two datasets are made of it: `warm`, the files as they are, and
`cold`, where a seeded fifth of the movies is held out of training altogether and ranked among themselves.

Every row is trained with the defaults of `tfmmrec train`, on train alone: the epoch is chosen on a tenth of it, then
the model is trained again on all of it. EASE's regularisation is chosen on such a tenth too. `genre profile` scores a
movie by how much more often its genres stand in the query's history than among all movies. Seeds change the weights,
the batches and what is held out for validation; of `cold` also which movies are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import quality
import yaml

from tfmmrec.data.dataset import Dataset

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


MODELS = {
    "warm": [
        "linear_blend",
        "two_tower",
        "history_only",
        "content_only",
        "id_only",
        "mult_dae",
        "lightgcn:loss=full_softmax:batch_size=16384:epochs=30",  # a pass over its graph takes most of a second
    ],
    "cold": ["linear_blend", "two_tower", "content_only", "mult_dae:content=true"],
}
"""Part -> what is trained on it unless told otherwise; of the held-out movies only content tells."""
TITLES = {"warm": "All movies", "cold": "Movies held out of training, among themselves"}


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = quality.arguments(__doc__.splitlines()[0], models=None)
    options.add_argument("--parts", default="warm,cold", help="warm, cold, or both")
    arguments = options.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    found = {}
    for part in arguments.parts.split(","):
        rows = quality.measure(
            lambda seed, part=part: _dataset(arguments.folder, part == "cold", seed),
            arguments.models or ",".join(MODELS[part]),
            seeds,
            slice_name="all" if part == "warm" else "cold",
            baselines={"genre profile": genre_profile},
            keep=arguments.keep,
        )
        found[TITLES[part]] = rows
    quality.report(found, seeds, arguments)


def _dataset(folder: Path, cold: bool, seed: int) -> Dataset:
    config = yaml.safe_load(CONFIG)
    if cold:
        config["interactions"] |= {"cold_candidates": 0.2, "seed": seed}
    return quality.dataset_of(folder, config)


def genre_profile(dataset: Dataset) -> Callable[[np.ndarray], np.ndarray]:
    """Scores a movie by its genres: how much more often each is in the query's history than among train's movies."""
    genres = [(value or "").split("|") for value in dataset.candidates.features["genres"].to_pylist()]
    names = sorted({name for row in genres for name in row if name})
    hot = np.array([[name in row for name in names] for row in genres], np.float32)
    common = hot[dataset.train.counts() > 0].mean(axis=0)
    unit = hot / np.sqrt(np.maximum(hot.sum(axis=1, keepdims=True), 1.0))

    def score(query_rows: np.ndarray) -> np.ndarray:
        histories = [dataset.train.candidates_of(int(row)) for row in query_rows]
        profiles = [hot[history].sum(axis=0) / max(len(history), 1) for history in histories]
        return np.stack(profiles) / np.maximum(common, 1e-6) @ unit.T

    return score


if __name__ == "__main__":
    main()
