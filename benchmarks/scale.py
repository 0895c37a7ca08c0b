"""What a training costs as it grows: memory, network and seconds a step, measured, fitted, predicted and carried on.

    python benchmarks/scale.py --json scale.json

Every run is a process of its own: it loads a generated log (Parquet; popularity falls as 1 / rank^0.8) as a dataset,
builds a two-tower model of ids under the sampled softmax, and takes steps of `InteractionBatches`.
Seconds a step are the median of the last epochs' steps; memory is the peak of what the process cannot do without
(RssAnon); network is what passed through the loopback while two processes trained, a step (the kernel counts a byte
that is sent and received once).

The coefficients are fitted to the smaller runs alone, by least squares on relative errors with no coefficient below
zero. The larger ones (`held_out`) are predicted by them: what the prediction is worth. `far` carries it on to 10^9
interactions, 10^8 queries and 10^8 candidates.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from distributed import free_ports
from measuring import machine, parser, publish
from scale_fit import SIZES, markdown, report
from streaming import MIB, AnonymousPeak, write_log

FITTED = [
    {},
    {"candidates": 30_000},
    {"candidates": 100_000},
    {"queries": 30_000},
    {"queries": 300_000},
    {"dim": 32},
    {"batch": 512},
    {"batch": 2048},
    {"interactions": 3_000_000},
    {"interactions": 10_000_000},
    {"workers": 2},
    {"workers": 2, "batch": 2048},
    {"workers": 2, "candidates": 100_000},
]
HELD_OUT = [
    {"candidates": 1_000_000, "interactions": 30_000_000},
    {"interactions": 30_000_000},
    {"dim": 128},
    {"batch": 4096},
    {"candidates": 300_000, "interactions": 10_000_000, "dim": 128, "batch": 4096},
    {"workers": 2, "candidates": 30_000, "batch": 4096},
]


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--steps", type=int, default=10, help="of an epoch")
    options.add_argument("--quick", action="store_true", help="the first run of either kind alone, to try the script")
    options.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables here")
    options.add_argument("--from-json", type=Path, metavar="FILE", help="fit what was measured before")
    options.add_argument("--child", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.child:
        print(json.dumps(child(json.loads(arguments.child))))
        return
    if arguments.from_json:
        runs = json.loads(arguments.from_json.read_text(encoding="utf-8"))["runs"]
    else:
        runs = measure(arguments)
    found = report(runs)
    publish(found | {"runs": runs, "machine": machine()}, arguments.json)
    if arguments.markdown:
        arguments.markdown.write_text(markdown(runs, found), encoding="utf-8")


def measure(arguments: argparse.Namespace) -> list[dict]:
    """Every size under both optimizers: the sizes, and what was measured."""
    groups = [(FITTED[:1], False), (HELD_OUT[2:3], True)] if arguments.quick else [(FITTED, False), (HELD_OUT, True)]
    found = []
    with tempfile.TemporaryDirectory(prefix="tfmmrec-scale-") as folder:
        for cases, is_held_out in groups:
            for case in cases:
                sizes = SIZES | case
                log = Path(folder) / "-".join(str(sizes[name]) for name in ("queries", "candidates", "interactions"))
                if not log.exists():
                    write_log(log, sizes["interactions"], argparse.Namespace(seed=arguments.seed, **sizes))
                for optimizer in ("adam", "lazy_adam"):
                    own = sizes | {"optimizer": optimizer, "steps": arguments.steps, "log": str(log)}
                    found.append(own | {"held_out": is_held_out} | run(own))
                    del found[-1]["log"]
                    print(json.dumps(found[-1]), file=sys.stderr)
    return found


def run(sizes: dict) -> dict[str, float]:
    """One training, in as many processes as it has workers, each of them on a core of its own."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(sizes["workers"])]
    cores = sorted(os.sched_getaffinity(0))
    processes = []
    for index in range(sizes["workers"]):
        environment = {**os.environ}
        if sizes["workers"] > 1:
            cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment["TF_CONFIG"] = json.dumps(cluster)
        processes.append(
            subprocess.Popen(
                [sys.executable, __file__, "--child", json.dumps(sizes)],
                env=environment,
                stdout=subprocess.PIPE,
                preexec_fn=lambda core=cores[index % len(cores)]: os.sched_setaffinity(0, {core}),
            )
        )
    said = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit("a training has ended with an error, see above")
    return json.loads(said[0].splitlines()[-1])


def child(sizes: dict) -> dict[str, float]:
    """Loads, builds, and takes steps; what it took."""
    import time

    sampler = AnonymousPeak()
    import tfmmrec  # isort: skip  before TensorFlow
    import tensorflow as tf

    from tfmmrec.data.batches import InteractionBatches
    from tfmmrec.optimizers import make_optimizer
    from tfmmrec.strategies import make_strategy
    from tfmmrec.training_options import TrainingOptions

    strategy = make_strategy("multiworker" if sizes["workers"] > 1 else "cpu")
    started = time.perf_counter()
    dataset = tfmmrec.load_dataset(sizes["log"])
    load_seconds = time.perf_counter() - started
    sides = {"queries": dataset.queries, "candidates": dataset.candidates}
    rows = {side: {"id": {"row": np.arange(len(table), dtype=np.int32)}} for side, table in sides.items()}
    options = TrainingOptions(optimizer=sizes["optimizer"], batch_size=sizes["batch"])
    epochs = Epochs()
    with strategy.scope():
        stream = InteractionBatches(
            dataset.train,
            rows["queries"],
            rows["candidates"],
            sizes["batch"],
            num_groups=strategy.num_replicas_in_sync,
        )
        model = two_tower(sides, sizes["dim"])
        model.compile(optimizer=make_optimizer(model, options, sizes["steps"]))
        model.optimizer.build(model.trainable_variables)
    batches = stream.dataset()
    if sizes["workers"] > 1:
        batches = strategy.distribute_datasets_from_function(
            lambda context: stream.worker_dataset(0, context.input_pipeline_id, sizes["workers"])
        )
    callback = tf.keras.callbacks.LambdaCallback(on_epoch_begin=epochs.begin, on_epoch_end=epochs.end)
    model.fit(batches, epochs=4, steps_per_epoch=sizes["steps"], verbose=0, callbacks=[callback])
    sampler.stop()
    return {
        "seconds_a_step": float(np.median(epochs.seconds[1:])) / sizes["steps"],
        "bytes_a_step": float(np.median(epochs.bytes[1:])) / sizes["steps"],
        "memory_mib": sampler.peak / MIB,
        "load_seconds": load_seconds,
        "unique": stream.unique_size,
        "table_rows": sum(len(table) for table in sides.values()),  # what no interaction has is in no table
    }


class Epochs:
    """Seconds and loopback bytes of each epoch."""

    def __init__(self):
        import time

        self.clock, self.seconds, self.bytes = time.perf_counter, [], []

    def begin(self, *_) -> None:
        """Notes when it begins."""
        self.started = self.clock(), loopback_bytes()

    def end(self, *_) -> None:
        """Notes what it took."""
        self.seconds.append(self.clock() - self.started[0])
        self.bytes.append(loopback_bytes() - self.started[1])


def loopback_bytes() -> int:
    """What the loopback has received since the machine was started."""
    with open("/proc/net/dev", encoding="ascii") as file:
        return next(int(line.split(":")[1].split()[0]) for line in file if line.strip().startswith("lo:"))


def two_tower(sides: dict, dim: int):
    """Both towers are an embedding of the id."""
    import tfmmrec
    from tfmmrec.encoders import IdentifierEncoder
    from tfmmrec.fusion import EarlyFusion

    towers = [
        tfmmrec.Tower({"id": IdentifierEncoder(table.ids.to_pylist(), dim)}, EarlyFusion(dim, direct=["id"]))
        for table in sides.values()
    ]
    model = tfmmrec.TwoTower(*towers, num_candidates=len(sides["candidates"]), loss="sampled_softmax")
    model.build_towers()
    return model


if __name__ == "__main__":
    main()
