"""How many cells an inverted file should have: the rows that a query reads to find 95% of its exact best 100.

    python benchmarks/cells.py --json cells.json

For vectors of several structures, and one, two and four times as many cells as the root of their number: `rows` of the
index that are read on average, `centers` that are compared before, and the seconds that k-means takes. The structures
are mixtures of fewer, as many and more normal distributions than that root, whose noise is as wide as the spread of
their centres, and 12 hidden factors with noise.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from measuring import machine, parser, publish
from serving import DIM, scanned

import tfmmrec  # noqa: F401  (before TensorFlow)
from tfmmrec.search import Cells, InvertedFileIndex, cell_centers, choose_probes

RECALL, MULTIPLES, NUM_FACTORS = 0.95, (1, 2, 4), 12

Draw = Callable[[int], np.ndarray]


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--size", type=int, default=200_000)
    options.add_argument("--queries", type=int, default=200)
    arguments = options.parse_args()
    random, root = np.random.default_rng(arguments.seed), arguments.size**0.5
    draws = {f"{round(part * root)} centers": mixture(round(part * root), random) for part in (1 / 3, 1, 4)}
    draws[f"{NUM_FACTORS} factors"] = factors(random)
    found = {name: measure(draw, arguments) for name, draw in draws.items()}
    publish(found | {"machine": machine()}, arguments.json)


def mixture(num_centers: int, random: np.random.Generator) -> Draw:
    """Vectors around some centres."""
    centers = random.standard_normal((num_centers, DIM), np.float32)
    return lambda n: centers[random.integers(0, num_centers, n)] + random.standard_normal((n, DIM), np.float32)


def factors(random: np.random.Generator) -> Draw:
    """Vectors of few dimensions in many, with noise in all."""
    mixing = random.standard_normal((NUM_FACTORS, DIM), np.float32)

    def draw(n: int) -> np.ndarray:
        hidden = np.tanh(1.5 * random.standard_normal((n, NUM_FACTORS), np.float32))
        return hidden @ mixing + 0.3 * random.standard_normal((n, DIM), np.float32)

    return draw


def measure(draw: Draw, arguments) -> dict[str, dict]:
    """One structure, by the multiples of the root."""
    vectors, queries = draw(arguments.size), draw(arguments.queries)
    ids = [str(row) for row in range(len(vectors))]
    found = {}
    for multiple in MULTIPLES:
        started = time.perf_counter()
        centers = cell_centers(vectors, round(multiple * len(vectors) ** 0.5), arguments.seed)
        seconds = time.perf_counter() - started
        index = InvertedFileIndex(ids, vectors, cells=Cells(centers, 1))
        probes, recall = choose_probes(index, queries, RECALL)
        found[f"{multiple} x root"] = {
            "centers": len(centers),
            "cells_read": probes,
            "recall@100": round(recall, 4),
            "rows": round(scanned(index, queries, probes) * len(vectors)),
            "seconds_of_k_means": round(seconds, 1),
        }
        print(found[f"{multiple} x root"], flush=True)
    return found


if __name__ == "__main__":
    main()
