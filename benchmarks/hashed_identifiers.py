"""What ids that share rows cost in quality: a table of all ids against hashed ones and quotients and remainders.

    python benchmarks/hashed_identifiers.py --json ids.json --markdown ids.md

On both embedded catalogues: `id_only`, which knows nothing but ids, with rows for a half, a quarter and a tenth of the
ids on either side, and `two_tower` with the catalogue's words, values and histories beside the candidates' ids, with
rows for a quarter (pictures, sounds and covers are left out of the dataset, so that training them does not take most of
the time). Everything else is as in `tfmmrec train`, which chooses the epoch on its validation data; warm and cold
candidates of the test are measured apart.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from measuring import machine, parser, publish, spread
from quality import dataset_of, kept

from tfmmrec.data.dataset import Dataset
from tfmmrec.data.fashion import write_fashion
from tfmmrec.data.songs import write_songs
from tfmmrec.run_evaluation import evaluate_run
from tfmmrec.schema import MEDIA_KINDS
from tfmmrec.training import train
from tfmmrec.training_options import TrainingOptions
from tfmmrec.zoo import ZOO

K = 20
CATALOGUES = {"fashion": write_fashion, "songs": write_songs}
SHARES = {"1/2": 0.5, "1/4": 0.25, "1/10": 0.1}
WAYS = {"table": ("table", None)} | {
    f"{kind}, {name}": (kind, share) for kind in ("hashed", "quotient_remainder") for name, share in SHARES.items()
}
"""Row -> kind of identifiers, and how many rows they have for each id."""
MODELS = {"id_only": list(WAYS), "two_tower": [way for way, (_, share) in WAYS.items() if share in (None, 0.25)]}
"""Model -> its rows."""


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=3, help="how many, from --seed on: of catalogue and training")
    options.add_argument("--models", default=",".join(MODELS), help="which of them, separated by commas")
    options.add_argument("--epochs", type=int, help="at most so many; the zoo's default unless given")
    options.add_argument("--size", type=int, help="candidates of a catalogue; the demo's unless given")
    options.add_argument("--keep", type=Path, metavar="FOLDER", help="keep each row here, and go on from those kept")
    options.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables here")
    arguments = options.parse_args()
    if unknown := sorted(set(arguments.models.split(",")) - set(MODELS)):
        options.error(f"--models: {', '.join(unknown)} is none of {', '.join(MODELS)}")
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    found = _measure(seeds, arguments)
    tables = "\n".join(_markdown(model, catalogues) for model, catalogues in found.items())
    print(tables, file=sys.stderr)
    if arguments.markdown:
        arguments.markdown.write_text(tables, encoding="utf-8")
    publish({"k": K, "seeds": list(seeds), "models": found, "machine": machine()}, arguments.json)


def _measure(seeds: range, arguments: argparse.Namespace) -> dict:
    """Model -> catalogue -> way -> metric -> spread over the seeds."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # every model is traced anew, which it would warn of
    values: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    sizes = {} if arguments.size is None else {"num_candidates": arguments.size}
    asked = [(model, way) for model in arguments.models.split(",") for way in MODELS[model]]
    own = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    with tempfile.TemporaryDirectory() as temporary:
        keep = arguments.keep or Path(temporary) / "kept"
        for seed in seeds:
            for catalogue, write in CATALOGUES.items():
                dataset = without_media(write(Path(temporary) / catalogue / f"{seed}", seed=seed, **sizes))
                for model, way in asked:
                    name = f"{dataset.fingerprint[:12]}-{model}-{way.replace('/', '-')}-{seed}.json"
                    row = kept(keep / name, partial(_trained, dataset, model, way, seed, own))
                    values.setdefault((catalogue, model, way), []).append(row)
                    print(f"{catalogue}, seed {seed}, {model}: {way} {json.dumps(row)}", file=sys.stderr, flush=True)
    found: dict = {}
    for (catalogue, model, way), rows in values.items():
        spreads = {metric: spread([row[metric] for row in rows]) for metric in rows[0]}
        found.setdefault(model, {}).setdefault(catalogue, {})[way] = spreads
    return found


def without_media(folder: Path) -> Dataset:
    """A catalogue's dataset without the features that a network must learn to see or to hear."""
    config = yaml.safe_load((folder / "dataset.yaml").read_text(encoding="utf-8"))
    features = config["candidates"]["features"]
    config["candidates"]["features"] = {
        name: feature for name, feature in features.items() if feature["kind"] not in MEDIA_KINDS
    }
    return dataset_of(folder, config)


def _trained(dataset: Dataset, model: str, way: str, seed: int, own: dict) -> dict[str, float]:
    kind, share = WAYS[way]
    settings: dict = {"identifier": kind}
    if share is not None:
        settings["identifier_buckets"] = round(share * np.count_nonzero(dataset.train.counts()))
        if model == "id_only":  # two_tower knows queries by their histories
            settings["query_identifier_buckets"] = round(share * len(dataset.queries.ids))
    start = time.perf_counter()
    options = TrainingOptions(**(ZOO[model].training_of(settings, len(dataset.candidates)) | own | {"seed": seed}))
    with tempfile.TemporaryDirectory() as temporary:
        run = train(dataset, Path(temporary) / "run", model, settings, options)
        minutes = (time.perf_counter() - start) / 60
        metrics = evaluate_run(run, ks=(K,), dataset=dataset, baselines=False, report=False).metrics
    towers = [run.model.query_tower, run.model.candidate_tower, run.model.history_tower]
    encoders = [tower.encoders["id"] for tower in towers if tower is not None and "id" in tower.encoders]
    return {
        **{f"{part} {name}": metrics[part][f"{name}@{K}"] for part in ("warm", "cold") for name in ("recall", "ndcg")},
        "parameters": sum(int(np.prod(weight.shape)) for encoder in encoders for weight in encoder.trainable_weights),
        "epochs": run.config.num_epochs,
        "minutes": minutes,
    }


def _markdown(model: str, catalogues: dict) -> str:
    parts = ["warm"] if model == "id_only" else ["warm", "cold"]
    columns = [": parameters of ids", *(f", {part}" for part in parts)]
    heads = [f"{name}{column}" for name in catalogues for column in columns]
    lines = [f"| {model}: Recall@{K} / NDCG@{K} | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for way in MODELS[model]:
        cells = [way.replace("quotient_remainder", "quotient, remainder")]
        for ways in catalogues.values():
            cells.append(_parameters(ways[way], ways["table"]))
            cells += [f"{_cell(ways[way][f'{part} recall'])} / {_cell(ways[way][f'{part} ndcg'])}" for part in parts]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _parameters(found: dict, whole: dict) -> str:
    middle, all_of_them = (spreads["parameters"]["median"] for spreads in (found, whole))
    return f"{middle / 1000:,.0f} k ({middle / all_of_them:.0%})"


def _cell(values: dict[str, float]) -> str:
    middle, low, high = (f"{values[name]:.3f}".lstrip("0") for name in ("median", "low", "high"))
    return middle if low == high else f"{middle} ({low} to {high})"


if __name__ == "__main__":
    main()
