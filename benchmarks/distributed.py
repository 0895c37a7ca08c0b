"""One process beside two that train together: examples a second at the same global batch, and the loss curves.

    python benchmarks/distributed.py --plot docs/distributed.png --json distributed.json

`tfmmrec train --strategy multiworker` on the embedded catalogue, two processes on the loopback, and `--strategy cpu` in
one. Each process has one processor core of its own, so that two have twice as much of the machine. The model is
two_tower under the sampled softmax, whose negatives come from both processes. Seconds are those of an epoch's steps and
its validation, which every process does whole; the first epoch, in which graphs are traced, does not count. `dim` is
that of the id embeddings: the gradients that travel grow with it.
"""

from __future__ import annotations

import argparse
import csv
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from measuring import machine, parser, publish, spread

CODE = "from tfmmrec.cli.main import run; run()"
SETTINGS = ("loss=sampled_softmax", "patience=999", "image_steps=0", "validate_every=1000")


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.set_defaults(repeats=3)
    options.add_argument("--epochs", type=int, default=6)
    options.add_argument("--batch-size", type=int, default=512, help="of all processes together")
    options.add_argument("--dim", type=int, default=64)
    options.add_argument("--plot", type=Path, metavar="FILE", help="draw the loss curves")
    arguments = options.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two processor cores are needed, one for each process")
    with tempfile.TemporaryDirectory(prefix="tfmmrec-distributed-") as folder:
        found, curves = measure(Path(folder), arguments)
    publish(found | {"machine": machine()}, arguments.json)
    if arguments.plot:
        plot(curves, arguments.plot)


def measure(folder: Path, arguments: argparse.Namespace) -> tuple[dict, dict[str, list[float]]]:
    """The numbers, and the loss of each epoch by number of processes, of the last repeat."""
    from tfmmrec.data.fashion import write_fashion

    data = write_fashion(folder / "fashion", seed=arguments.seed)
    rates: dict[str, list[float]] = {"1 process": [], "2 processes": []}
    curves: dict[str, list[float]] = {}
    for repeat in range(arguments.repeats):
        for number, name in enumerate(rates, start=1):
            rows, examples = trained(data, folder / f"{number}-{repeat}", number, arguments)
            rates[name].append(examples / float(np.median([float(row["seconds"]) for row in rows[1:]])))
            curves[name] = [float(row["loss"]) for row in rows]
        print(f"repeat {repeat + 1} of {arguments.repeats}", file=sys.stderr)
    losses = np.array(list(curves.values()))
    return {
        "global_batch": arguments.batch_size,
        "examples_a_second": {name: spread(values) for name, values in rates.items()},
        "two_over_one": spread(np.array(rates["2 processes"]) / np.array(rates["1 process"])),
        "largest_relative_difference_of_losses": float(np.max(np.abs(losses[1] / losses[0] - 1.0))),
    }, curves


def trained(data: Path, run: Path, number: int, arguments: argparse.Namespace) -> tuple[list[dict[str, str]], int]:
    """Trains in so many processes; the rows of the run's history, and the examples of an epoch."""
    settings = [*SETTINGS, f"batch_size={arguments.batch_size}", f"dim={arguments.dim}"]
    command = [sys.executable, "-c", CODE, "train", str(data), "--run", str(run), "--no-refit"]
    command += ["--epochs", str(arguments.epochs), "--seed", str(arguments.seed)]
    command += [part for setting in settings for part in ("--set", setting)]
    addresses = ",".join(f"127.0.0.1:{port}" for port in free_ports(number))
    cores = sorted(os.sched_getaffinity(0))
    processes = []
    for index in range(number):
        own = ["--strategy", "cpu"] if number == 1 else ["--strategy", "multiworker", "--workers", addresses]
        own += [] if number == 1 else ["--worker-index", str(index)]
        processes.append(
            subprocess.Popen(
                [*command, *own],
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                preexec_fn=lambda core=cores[index]: os.sched_setaffinity(0, {core}),
            )
        )
    said = [process.communicate()[1].decode() for process in processes]
    if any(process.returncode for process in processes):
        sys.exit("\n".join(said))
    with open(run / "history.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return rows, _examples_of_an_epoch(data, arguments)


def _examples_of_an_epoch(data: Path, arguments: argparse.Namespace) -> int:
    from tfmmrec.data.dataset import load_dataset
    from tfmmrec.data.splits import hold_out

    num_rows = hold_out(load_dataset(data).train, 0.1, arguments.seed)[0].num_rows
    return num_rows - num_rows % arguments.batch_size


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def plot(curves: dict[str, list[float]], path: Path) -> None:
    """The loss by epoch, both on top of each other."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.8), layout="constrained")
    for (name, losses), style in zip(curves.items(), ({"linewidth": 5, "alpha": 0.4}, {"linewidth": 1.5}), strict=True):
        axes.plot(range(1, len(losses) + 1), losses, label=name, **style)
    axes.set(xlabel="epoch", ylabel="loss", title="The same global batches by one process and by two")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
