"""What graph models cost as the graph grows: seconds and memory of a training step, by the number of edges.

    python benchmarks/graph.py --json graph.json

For each number of edges a fresh process generates a log (queries alike, popularity of candidates falling as
1 / rank^0.8), builds a model of the zoo on it and trains some steps, in each of which vectors are propagated over the
whole graph, forward and backward. `step` is the median of the steps' seconds after the first, which traces the graph;
`peak` is how far the process's peak memory (VmHWM of `/proc/self/status`) rises while the graph is built and the steps
run. The nodes stay as many; `time_ratio` is the time of the most edges over that of the fewest, `bytes_per_edge` the
growth of the peak by the growth of the edges.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from measuring import machine, parser, publish, spread

MIB = 2**20


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.set_defaults(repeats=3)
    options.add_argument("--models", default="lightgcn", help="graph models of the zoo, separated by commas")
    options.add_argument("--edges", type=int, nargs=2, default=[200_000, 2_000_000], metavar=("FEW", "MANY"))
    options.add_argument("--queries", type=int, default=50_000)
    options.add_argument("--candidates", type=int, default=20_000)
    options.add_argument("--batch", type=int, default=2048)
    options.add_argument("--steps", type=int, default=10)
    options.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.child:
        print(json.dumps(train_steps(arguments.child[0], int(arguments.child[1]), arguments)))
        return
    found = {model: _measure(model, arguments) for model in arguments.models.split(",")}
    sizes = {name: value for name, value in vars(arguments).items() if name not in ("json", "child")}
    publish(
        {"models": found, "units": {"step": "s", "peak": "MiB"}, "sizes": sizes, "machine": machine()}, arguments.json
    )


def _measure(model: str, arguments: argparse.Namespace) -> dict:
    few, many = arguments.edges
    results: dict[int, list[dict]] = {few: [], many: []}
    for repeat in range(arguments.repeats):
        for size, rows in results.items():
            rows.append(_fresh_process(model, size, arguments))
        print(f"{model}: repeat {repeat + 1} of {arguments.repeats}", file=sys.stderr)
    values = {size: {name: np.array([row[name] for row in rows]) for name in rows[0]} for size, rows in results.items()}
    edges = values[many]["edges"] - values[few]["edges"]
    return {
        "time_ratio": spread(values[many]["step"] / values[few]["step"]),
        "bytes_per_edge": spread((values[many]["peak"] - values[few]["peak"]) * MIB / edges),
        "by_edges": {
            str(int(rows["edges"][0])): {name: spread(rows[name]) for name in ("step", "peak")}
            for rows in values.values()
        },
    }


def train_steps(name: str, num_pairs: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Trains a model on a generated log; the graph's edges, the seconds of a step and the rise of the peak."""
    import pandas as pd

    import tfmmrec  # isort: skip  before TensorFlow
    import tensorflow as tf

    from tfmmrec.data.batches import InteractionBatches
    from tfmmrec.data.statistics import compute_statistics
    from tfmmrec.zoo import ZOO

    random = np.random.default_rng(arguments.seed)
    popularity = np.cumsum(1.0 / np.arange(1, arguments.candidates + 1) ** 0.8)
    log = {
        "query": random.integers(0, arguments.queries, num_pairs),
        "candidate": np.searchsorted(popularity, random.random(num_pairs) * popularity[-1]),
    }
    split = {"method": "ratio", "valid": 0.01, "test": 0.01}
    schema = {"interactions": {"query": "query", "candidate": "candidate", "split": split}}
    dataset = tfmmrec.dataset_from_frames(schema, pd.DataFrame(log).drop_duplicates())
    before = _reset_peak()
    model = ZOO[name].build(dataset.schema, compute_statistics(dataset))
    model.build_towers()
    model.compile(optimizer=tf.keras.optimizers.Adam(0.01))
    model.set_graph(dataset.train)
    model.set_catalogue({"id": {"row": np.arange(len(dataset.candidates), dtype=np.int32)}})
    queries = {"id": {"row": np.arange(len(dataset.queries), dtype=np.int32)}}
    stream = InteractionBatches(dataset.train, queries, {}, arguments.batch, seed=arguments.seed)
    seconds: list[float] = []
    clock = tf.keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_: seconds.append(time.perf_counter()))
    model.fit(stream.dataset(), steps_per_epoch=arguments.steps + 1, callbacks=[clock], verbose=0)
    peak = (_peak() - before) / MIB
    return {"edges": dataset.train.num_rows, "step": float(np.median(np.diff(seconds))), "peak": peak}


def _reset_peak() -> int:
    """Lets the peak begin anew, at what the process holds now, which it returns: generating the log took more."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as control:
        control.write("5")
    return _peak()


def _peak() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024


def _fresh_process(model: str, num_pairs: int, arguments: argparse.Namespace) -> dict[str, float]:
    names = ("queries", "candidates", "batch", "steps", "seed")
    options = [f"--{name}={getattr(arguments, name)}" for name in names]
    command = [sys.executable, __file__, "--child", model, str(num_pairs), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
