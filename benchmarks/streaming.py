"""How much memory a longer log costs: loading it and making training batches of it.

    python benchmarks/streaming.py --json streaming.json

Writes two logs of interactions (Parquet; query, candidate, time) by the same queries with the same candidates, and for
each starts a fresh process that loads it as a dataset, parts it by time, and takes some hundred batches with histories
from `InteractionBatches`. `bytes_per_interaction` is the growth of the peak memory divided by the growth of the log.

Two peaks are measured. `resident` is all memory of the process: VmHWM of `/proc/self/status`, which is `ru_maxrss`
without what a process inherits of its parent's. It contains those pages of the log, which lies memory-mapped in
temporary files, that are cached at the moment; the kernel takes them back when somebody else needs memory. `anonymous`
leaves them out (RssAnon, read every 2 ms): it is what the process cannot do without. Neither may grow by more than 10
bytes an interaction.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from measuring import machine, parser, publish, spread

MIB = 2**20
CHUNK_ROWS = 2**20
SAMPLE_SECONDS = 0.002
PEAKS = ("anonymous", "resident")
CONFIG = """\
interactions: {path: log.parquet, query: query, candidate: candidate, timestamp: time,
               split: {method: time, valid: 0.05, test: 0.05}}
"""


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.set_defaults(repeats=3)
    options.add_argument("--interactions", type=int, nargs=2, default=[1_000_000, 10_000_000], metavar=("FEW", "MANY"))
    options.add_argument("--queries", type=int, default=100_000)
    options.add_argument("--candidates", type=int, default=50_000)
    options.add_argument("--batch", type=int, default=4096)
    options.add_argument("--steps", type=int, default=300)
    options.add_argument("--history", type=int, default=50)
    options.add_argument("--folder", type=Path, help="where the logs are written; the temporary folder by default")
    options.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.child:
        print(json.dumps(stream(arguments.child, arguments)))
    else:
        publish(measure(arguments), arguments.json)


def measure(arguments: argparse.Namespace) -> dict:
    """All the numbers, by name; MiB as median, lowest and highest over the repeats."""
    found: dict[int, list[dict]] = {size: [] for size in arguments.interactions}
    with tempfile.TemporaryDirectory(prefix="tfmmrec-streaming-", dir=arguments.folder) as folder:
        for size in found:
            write_log(Path(folder) / str(size), size, arguments)
        for repeat in range(arguments.repeats):
            for size, results in found.items():
                results.append(_fresh_process(Path(folder) / str(size), arguments))
            print(f"repeat {repeat + 1} of {arguments.repeats}", file=sys.stderr)
    few, many = arguments.interactions
    names = found[few][0].keys()
    values = {size: {name: np.array([r[name] for r in results]) for name in names} for size, results in found.items()}
    return {
        "bytes_per_interaction": {
            name: spread((values[many][name] - values[few][name]) * MIB / (many - few)) for name in PEAKS
        },
        "by_interactions": {
            str(size): {name: spread(values[size][name]) for name in names} for size in arguments.interactions
        },
        "units": {"anonymous": "MiB", "resident": "MiB"},
        "machine": machine(),
        "seed": arguments.seed,
        "sizes": {name: value for name, value in vars(arguments).items() if name not in ("json", "folder", "child")},
    }


def write_log(folder: Path, num_rows: int, arguments: argparse.Namespace) -> None:
    """A dataset folder whose log has `num_rows` rows in time order, with popularity falling as 1 / rank^0.8."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    (folder / "dataset.yaml").write_text(CONFIG, encoding="utf-8")
    random = np.random.default_rng((arguments.seed, num_rows))
    popularity = np.cumsum(1.0 / np.arange(1, arguments.candidates + 1) ** 0.8)
    schema = pa.schema({"query": pa.int64(), "candidate": pa.int64(), "time": pa.int64()})
    with pq.ParquetWriter(folder / "log.parquet", schema) as writer:
        for start in range(0, num_rows, CHUNK_ROWS):
            size = min(CHUNK_ROWS, num_rows - start)
            columns = {
                "query": random.integers(0, arguments.queries, size),
                "candidate": np.searchsorted(popularity, random.random(size) * popularity[-1]),
                "time": 1_600_000_000 + np.arange(start, start + size),
            }
            writer.write_table(pa.table(columns, schema))


def stream(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Loads a log and takes batches of it; the peaks and the seconds."""
    sampler = AnonymousPeak()
    import tfmmrec
    from tfmmrec.data.batches import InteractionBatches

    start = time.perf_counter()
    dataset = tfmmrec.load_dataset(folder)
    loaded = time.perf_counter()
    anonymous_load = sampler.peak / MIB
    batches = InteractionBatches(
        dataset.train,
        {"id": {"row": np.arange(len(dataset.queries), dtype=np.int32)}},
        {"id": {"row": np.arange(len(dataset.candidates), dtype=np.int32)}},
        arguments.batch,
        history_length=arguments.history,
        seed=arguments.seed,
    )
    rows = 0
    for batch in batches.dataset().take(arguments.steps):
        rows += int(batch["positive"].shape[0])
    if rows != arguments.steps * batches.batch_size:
        raise SystemExit(f"expected {arguments.steps} batches of {batches.batch_size} rows, got {rows} rows")
    ended = time.perf_counter()
    sampler.stop()
    return {
        "anonymous": sampler.peak / MIB,
        "anonymous_load": anonymous_load,
        "resident": _memory("VmHWM") / MIB,
        "load_seconds": loaded - start,
        "batch_seconds": (ended - loaded) / arguments.steps,
    }


class AnonymousPeak:
    """The highest RssAnon seen, in bytes."""

    def __init__(self):
        self.peak = 0
        self._going = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self._going:
            self.peak = max(self.peak, _memory("RssAnon"))
            time.sleep(SAMPLE_SECONDS)

    def stop(self) -> None:
        self._going = False
        self._thread.join()


def _memory(name: str) -> int:
    """One of the process's own figures, in bytes."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) * 1024


def _fresh_process(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    options = [f"--{name}={getattr(arguments, name)}" for name in ("batch", "steps", "history", "seed")]
    command = [sys.executable, __file__, "--child", str(folder), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
