"""What asynchronous steps on parameter servers cost in quality and in time, beside the same training in one process.

    python benchmarks/parameter_servers.py --json parameter_servers.json

two_tower and id_only under the sampled softmax on the embedded catalogue (without pictures, which take most of the time
and train nothing on servers), as the README recommends it beside parameter servers: mixed negatives and lazy Adam.
First by one process (`--strategy cpu`), then by a chief, workers and servers, each a process of its own, all on this
machine's cores. The chief of servers renews the vectors that histories pool after every epoch, one process every 200
steps: so there is also a row of one process that renews them as often as the chief. Batch size, epochs at most and seed
are the same; the epoch is chosen on validation data, and the model is then fitted again to all of train (`--set
refit=false` keeps the chosen epoch's weights, in half the time). `examples/s` are those of the last fit's epochs but
its first, in which graphs are traced; without a refit there is validation in them. `largest share` is what one server
holds of the tables' bytes (rows of ids, the histories' vectors, and what Adam keeps of them), by `servers.json`.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from distributed import free_ports
from hashed_identifiers import without_media
from measuring import machine, parser, publish, spread
from quality import kept

from tfmmrec.data.dataset import Dataset
from tfmmrec.data.fashion import write_fashion
from tfmmrec.data.splits import hold_out
from tfmmrec.run_evaluation import evaluate_run
from tfmmrec.runs import load_run
from tfmmrec.training import train
from tfmmrec.training_options import TrainingOptions
from tfmmrec.zoo import ZOO

K = 20
MODELS = ("two_tower", "id_only")
SETTINGS = {"loss": "sampled_softmax", "negatives": "mixed", "optimizer": "lazy_adam"}
ONE = "one process"
REFRESHED = "one process, histories' vectors renewed every epoch"
TABLES = ("embeddings", "history_table")


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=3, help="how many, from --seed on: of catalogue and training")
    options.add_argument("--models", default=",".join(MODELS), help="names of the zoo, separated by commas")
    options.add_argument("--clusters", default="2x2", help="WORKERSxSERVERS beside the chief, separated by commas")
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the model or its training")
    options.add_argument("--size", type=int, help="candidates of the catalogue; the demo's unless given")
    options.add_argument("--keep", type=Path, metavar="FOLDER", help="keep each row here, and go on from those kept")
    options.add_argument("--child", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.child:
        fit(**json.loads(arguments.child))
        return
    settings = SETTINGS | {key: yaml.safe_load(value) for key, value in (one.split("=", 1) for one in arguments.set)}
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    found = measure(seeds, settings, arguments)
    publish({"k": K, "seeds": list(seeds), "settings": settings, "found": found, "machine": machine()}, arguments.json)


def measure(seeds: range, settings: dict, arguments: argparse.Namespace) -> dict:
    """Model -> way -> metric -> its spread over the seeds."""
    clusters = [tuple(map(int, cluster.split("x"))) for cluster in arguments.clusters.split(",")]
    ways = {ONE: None, REFRESHED: None} | {f"{one} workers, {other} servers": (one, other) for one, other in clusters}
    sizes = {} if arguments.size is None else {"num_candidates": arguments.size}
    values: dict[str, dict[str, list[dict[str, float]]]] = {}
    with tempfile.TemporaryDirectory(prefix="tfmmrec-parameter-servers-") as temporary:
        keep = arguments.keep or Path(temporary) / "kept"
        for seed in seeds:
            data = write_fashion(Path(temporary) / f"fashion-{seed}", seed=seed, **sizes)
            dataset = without_media(data)
            for model in arguments.models.split(","):
                for way, cluster in ways.items():
                    if way == REFRESHED and "history" not in ZOO[model].hyperparameters:
                        continue
                    own = "-".join(f"{key}={value}" for key, value in sorted(settings.items()))
                    file = keep / f"{dataset.fingerprint[:12]}-{model}-{way.replace(', ', '-')}-{own}-{seed}.json"
                    renewed = way == REFRESHED
                    row = kept(file, partial(trained, data, dataset, model, settings, cluster, seed, renewed))
                    values.setdefault(model, {}).setdefault(way, []).append(row)
                    print(f"seed {seed}, {model}, {way}: {json.dumps(row)}", file=sys.stderr, flush=True)
    return {
        model: {way: {name: spread([row[name] for row in rows]) for name in rows[0]} for way, rows in found.items()}
        for model, found in values.items()
    }


def trained(
    data: Path,
    dataset: Dataset,
    model: str,
    settings: dict,
    cluster: tuple[int, int] | None,
    seed: int,
    renewed: bool = False,
) -> dict[str, float]:
    """The metrics of one training.

    Args:
        data: the catalogue's folder.
        dataset: without its pictures, for the evaluation.
        model: a name of the zoo.
        settings: of the model and its training.
        cluster: workers and servers beside the chief; None for one process.
        seed: of the training.
        renewed: whether one process renews the vectors that histories pool as often as servers' chief does, not every
            200 steps.
    """
    task = {"data": str(data), "model": model, "settings": settings, "seed": seed, "renewed": renewed}
    with tempfile.TemporaryDirectory(prefix="tfmmrec-run-") as temporary:
        folder = Path(temporary) / "run"
        start = time.perf_counter()
        _run(task | {"folder": str(folder)}, cluster)
        minutes = (time.perf_counter() - start) / 60
        run = load_run(folder)
        metrics = evaluate_run(run, ks=(K,), dataset=dataset, baselines=False, report=False).metrics
        with open(folder / "history.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        placement = json.loads((folder / "servers.json").read_text()) if cluster else {"": {}}
    size = run.config.options["batch_size"]
    seconds = [float(row["seconds"]) for row in rows if row["phase"] == rows[-1]["phase"]]
    num_rows = dataset.train.num_rows if run.config.options["refit"] else _num_fitted(dataset, seed)
    parts = [part for part in ("warm", "cold") if part in metrics]
    found = {f"{part} {name}": metrics[part][f"{name}@{K}"] for part in parts for name in ("recall", "ndcg")}
    found |= {"epochs": run.config.num_epochs, "minutes": minutes}
    found["examples/s"] = (num_rows // size * size) / float(np.median(seconds[1:] or seconds))
    return found | ({"largest share": largest_share(placement)} if cluster else {})


def _num_fitted(dataset: Dataset, seed: int) -> int:
    return hold_out(dataset.train, TrainingOptions().validation_share, seed)[0].num_rows


def largest_share(placement: dict[str, dict[str, list[int]]]) -> float:
    """Of the tables' bytes, what the server has that has most."""
    held = [
        sum(int(np.prod(shape)) for name, shape in weights.items() if any(table in name for table in TABLES))
        for weights in placement.values()
    ]
    return max(held) / sum(held)


def _run(task: dict, cluster: tuple[int, int] | None) -> None:
    """The training in its process or its processes, until it is done."""
    tasks: list[dict | None] = [None]
    if cluster:
        workers, servers = cluster
        addresses = [f"127.0.0.1:{port}" for port in free_ports(1 + workers + servers)]
        jobs = {"chief": addresses[:1], "worker": addresses[1 : 1 + workers], "ps": addresses[1 + workers :]}
        tasks = [{"type": kind, "index": index} for kind, listed in jobs.items() for index in range(len(listed))]
    with tempfile.TemporaryDirectory() as logs:
        processes = []
        for place, own in enumerate(tasks):
            environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
            if own is not None:
                environment["TF_CONFIG"] = json.dumps({"cluster": jobs, "task": own})
            command = [sys.executable, __file__, "--child", json.dumps(task | {"has_servers": own is not None})]
            with open(Path(logs) / str(place), "wb") as log:
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        if any([process.wait() for process in processes]):
            sys.exit("\n".join((Path(logs) / str(place)).read_text(errors="replace") for place in range(len(tasks))))


def fit(data: str, folder: str, model: str, settings: dict, seed: int, renewed: bool, has_servers: bool) -> None:
    """What each of the processes does: the training, or what its chief says."""
    dataset = without_media(Path(data))
    settings = dict(settings)
    own = {key: settings.pop(key) for key in list(settings) if key in TrainingOptions.model_fields}
    own |= {"seed": seed, "strategy": "parameter_server" if has_servers else "cpu"}
    options = TrainingOptions(**(ZOO[model].training_of(settings, len(dataset.candidates)) | own))
    if renewed:
        options.refresh_steps = _num_fitted(dataset, seed) // options.batch_size
    train(dataset, folder, model, settings, options, progress=False)


if __name__ == "__main__":
    main()
