"""What it costs in quality to leave the rows of tables alone that a batch does not have.

    python benchmarks/lazy_adam.py --json lazy_adam.json

`optimizer=lazy_adam` against Adam, two_tower and id_only under the sampled softmax on both embedded catalogues (without
pictures, sounds and covers, which take most of the time and have no rows). Everything else is as in `tfmmrec train`,
which chooses the epoch on its validation data. What it saves in time goes by the size of the tables: see scale.py.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import sys
import tempfile
import time
from pathlib import Path

from hashed_identifiers import CATALOGUES, MODELS, without_media
from measuring import machine, parser, publish, spread

from tfmmrec.data.dataset import Dataset
from tfmmrec.run_evaluation import evaluate_run
from tfmmrec.training import train
from tfmmrec.training_options import TrainingOptions
from tfmmrec.zoo import ZOO

K = 20
OPTIMIZERS = ("adam", "lazy_adam")


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=3, help="how many, from --seed on: of catalogue and training")
    options.add_argument("--size", type=int, help="candidates of a catalogue; the demo's unless given")
    arguments = options.parse_args()
    sizes = {} if arguments.size is None else {"num_candidates": arguments.size}
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        for catalogue, write in CATALOGUES.items():
            with tempfile.TemporaryDirectory() as folder:
                dataset = without_media(write(Path(folder) / "data", seed=seed, **sizes))
                for model in MODELS:
                    for optimizer in OPTIMIZERS:
                        row = trained(dataset, model, optimizer, seed)
                        found.setdefault(f"{catalogue}, {model}, {optimizer}", []).append(row)
                        print(f"{catalogue}, seed {seed}, {model}, {optimizer}: {json.dumps(row)}", file=sys.stderr)
    rows = {
        name: {metric: spread([v[metric] for v in values]) for metric in values[0]} for name, values in found.items()
    }
    publish(rows | {"machine": machine()}, arguments.json)


def trained(dataset: Dataset, model: str, optimizer: str, seed: int) -> dict[str, float]:
    """The metrics of one training."""
    settings = {"loss": "sampled_softmax"}
    own = ZOO[model].training_of(settings, len(dataset.candidates)) | {"seed": seed, "optimizer": optimizer}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = train(dataset, Path(folder) / "run", model, settings, TrainingOptions(**own), progress=False)
        minutes = (time.perf_counter() - start) / 60
        metrics = evaluate_run(run, ks=(K,), dataset=dataset, baselines=False, report=False).metrics
    parts = [part for part in ("warm", "cold") if part in metrics]
    own = {f"{part} {name}": metrics[part][f"{name}@{K}"] for part in parts for name in ("recall", "ndcg")}
    return own | {"epochs": run.config.num_epochs, "minutes": minutes}


if __name__ == "__main__":
    main()
