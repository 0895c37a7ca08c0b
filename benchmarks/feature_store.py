"""How much memory and time more vectors cost in the feature store: adding them part by part, and reading them all.

    python benchmarks/feature_store.py --json feature_store.json

For each number of vectors a fresh process fills a store with random ones (float16, parts of 4,096) and then reads all
of them into a table on disk, in an order of their own. `bytes_per_vector` is the growth of the peak of what the process
cannot do without (RssAnon, see `streaming.py`) divided by the growth of the store; a vector itself takes 2 bytes a
number on disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import machine, parser, publish, spread
from streaming import MIB, AnonymousPeak

PART = 4096


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.set_defaults(repeats=3)
    options.add_argument("--vectors", type=int, nargs=2, default=[100_000, 1_000_000], metavar=("FEW", "MANY"))
    options.add_argument("--dim", type=int, default=512)
    options.add_argument("--folder", type=Path, help="where the stores are written; the temporary folder by default")
    options.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.child:
        print(json.dumps(fill(arguments.child, arguments)))
        return
    found = {size: [_fresh_process(size, arguments) for _ in range(arguments.repeats)] for size in arguments.vectors}
    few, many = arguments.vectors
    grown = [
        (b["anonymous"] - a["anonymous"]) * MIB / (many - few) for a, b in zip(found[few], found[many], strict=True)
    ]
    by_size = {str(size): {name: spread([r[name] for r in rows]) for name in rows[0]} for size, rows in found.items()}
    publish(
        {
            "bytes_per_vector": spread(grown),
            "by_vectors": by_size,
            "units": {"anonymous": "MiB", "on_disk": "MiB", "add_seconds": "s", "read_seconds": "s"},
            "dim": arguments.dim,
            "machine": machine(),
        },
        arguments.json,
    )


def fill(size: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Fills a store and reads it; the peak and the seconds."""
    from tfmmrec.data.feature_store import FeatureStore, content_keys
    from tfmmrec.data.storage import allocate

    random = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="tfmmrec-store-", dir=arguments.folder) as folder:
        store = FeatureStore(folder, "benchmark", arguments.dim, "float16")
        keys = np.empty(size, "S16")
        peak, start = AnonymousPeak(), time.perf_counter()
        for first in range(0, size, PART):
            rows = range(first, min(first + PART, size))
            keys[first : rows.stop] = content_keys(str(row) for row in rows)
            vectors = random.standard_normal((len(rows), arguments.dim), np.float32)
            store.add(keys[first : rows.stop], vectors, np.ones(len(rows), bool))
        added = time.perf_counter()
        table = allocate((size, arguments.dim), np.float32, Path(folder))
        store.read(random.permutation(keys), table, allocate(size, bool, Path(folder)))
        read = time.perf_counter()
        peak.stop()
        on_disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return {
        "anonymous": peak.peak / MIB,
        "on_disk": on_disk / MIB,
        "add_seconds": added - start,
        "read_seconds": read - added,
    }


def _fresh_process(size: int, arguments: argparse.Namespace) -> dict[str, float]:
    options = [f"--dim={arguments.dim}", f"--seed={arguments.seed}"]
    options += [f"--folder={arguments.folder}"] if arguments.folder else []
    command = [sys.executable, __file__, "--child", str(size), *options]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
