"""Search among 100,000 and 1,000,000 vectors: exact against NumPy's product, the inverted file against exact.

    python benchmarks/serving.py --json serving.json --plot docs/recall_latency.png

The graph is the one that `recommend` runs behind its towers, filters included, called as a concrete function, without
what Python does to find that; 100 candidates are asked for. Vectors are a mixture of as many normal distributions as
the root of their number, whose spread is as wide as that of their centres; queries are drawn alike. `noise` has vectors
without any structure, which no cells help.

`exact` is timed beside `queries @ vectors.T` in NumPy, which ranks nothing, and beside reading all vectors once (their
dot product with themselves), in turns with pauses, and once more asked again and again (`without_pause`). `ivf` is
timed beside `exact`, for every type of the cells' vectors and every number of cells that are read, and so is `scann`
where it is installed: all queries by one way, then by the other, as a server has one index and not both. `alternating`
has both ways for each query, so that an inverted file always finds its vectors put out of the processor's cache by an
exact search. `scanned` is the part of all rows that is read.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from measuring import machine, parser, publish, spread, take_turns

import tfmmrec  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

from tfmmrec.search import (
    Cells,
    ExactIndex,
    Filters,
    InvertedFileIndex,
    best_candidates,
    by_products,
    cell_centers,
    choose_probes,
)
from tfmmrec.search.cell_centers import default_num_cells
from tfmmrec.search.cells import DTYPES
from tfmmrec.search.scann_cells import ScannCells
from tfmmrec.search.scann_ops import scann_ops
from tfmmrec.types import UsageError

DIM, K, BATCHES = 64, 100, (1, 32)
PROBES = (2, 3, 4, 8, 16, 32, 64, 128)


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    options.add_argument("--queries", type=int, default=100, help="queries that recall and latency are taken of")
    options.add_argument("--plot", type=Path, metavar="FILE", help="draw recall against latency for the last size")
    arguments = options.parse_args()
    found = {f"{size:,}": measure(size, arguments) for size in arguments.sizes}
    found["noise"] = structureless(arguments)
    publish(found | {"machine": machine()}, arguments.json)
    if arguments.plot:
        plot(found[f"{arguments.sizes[-1]:,}"], arguments.sizes[-1], arguments.plot)


def mixture(size: int, num_queries: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and queries whose noise is as wide as their centres."""
    centers = random.standard_normal((round(size**0.5), DIM), np.float32)

    def draw(number: int) -> np.ndarray:
        return centers[random.integers(0, len(centers), number)] + random.standard_normal((number, DIM), np.float32)

    return draw(size), draw(num_queries)


def measure(size: int, arguments: argparse.Namespace) -> dict:
    """All the numbers of one catalogue; milliseconds."""
    random = np.random.default_rng(arguments.seed)
    vectors, queries = mixture(size, arguments.queries, random)
    ids = [str(row) for row in range(size)]
    exact = ExactIndex(ids, vectors)
    ask = answering(exact)
    found = {"exact": beside_numpy(ask, vectors, queries, arguments.repeats)}
    best = answers(ask, queries)
    started = time.perf_counter()
    centers = cell_centers(vectors, default_num_cells(size), arguments.seed)
    found["seconds_of_k_means"] = round(time.perf_counter() - started, 1)
    for name, cells in kinds(centers).items():
        found[name] = beside_exact(ask, best, (ids, vectors), cells, queries)
    return found


def kinds(centers: np.ndarray) -> dict[str, Callable[[], Cells | ScannCells]]:
    """Every kind of cells, without candidates."""
    found: dict = {f"ivf {dtype}": partial(Cells, centers, 1, dtype) for dtype in DTYPES}
    try:
        scann_ops()
    except UsageError as error:
        print(f"scann is left out: {error}", file=sys.stderr)
        return found
    return found | {"scann": partial(ScannCells, len(centers), 1)}


def answering(index: ExactIndex) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """What `recommend` does with queries' vectors, without filters, but with the inputs that they come in."""

    def best(queries: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = tf.shape(queries)[0]
        lists = (tf.fill([batch, length], "") for length in (100, 16, 16))
        filters = Filters(*lists, tf.fill([batch], K), tf.fill([batch], np.float32(np.nan)), tf.fill([batch], 0))
        return best_candidates(index, by_products(queries, tf.fill([batch], False)), filters, tf.fill([batch, 50], -1))

    signature = [tf.TensorSpec([None, DIM])]
    return tf.function(best, autograph=False, input_signature=signature).get_concrete_function()


def answers(ask: Callable, queries: np.ndarray) -> np.ndarray:
    """Rows of the best, int `[num_queries, 100]`."""
    parts = [ask(tf.constant(queries[start : start + 20]))["candidate_ids"] for start in range(0, len(queries), 20)]
    return np.concatenate([part.numpy() for part in parts]).astype(int)


def milliseconds(run: Callable[[], object]) -> float:
    """Of one call."""
    started = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - started)


def beside_numpy(ask: Callable, vectors: np.ndarray, queries: np.ndarray, repeats: int) -> dict:
    """Exact search, the bare product and reading the vectors, in turns."""
    flat, found = vectors.ravel(), {}
    for batch in BATCHES:
        part = queries[:batch]
        tensor = tf.constant(part)
        ways = {
            "exact": lambda tensor=tensor: ask(tensor)["scores"].numpy(),
            "numpy": lambda part=part: part @ vectors.T,
            "reading": lambda: np.dot(flat, flat),
        }

        def timed(way: Callable) -> float:
            time.sleep(0.1)  # the threads of the way before are at rest
            way()
            return milliseconds(way)

        times = take_turns({name: partial(timed, way) for name, way in ways.items()}, 4 * repeats)
        found[f"batch {batch}"] = {
            "milliseconds": {name: spread(taken) for name, taken in times.items()},
            "over_numpy": spread(times["exact"] / times["numpy"]),
            "over_reading": spread(times["exact"] / times["reading"]),
            "over_numpy_at_best": round(float(times["exact"].min() / times["numpy"].min()), 4),
            "without_pause": {name: round(float(np.median(repeated(way))), 4) for name, way in ways.items()},
        }
        found["gigabytes_a_second"] = round(vectors.nbytes / 1e6 / float(np.median(times["reading"])), 1)
    return found


def repeated(way: Callable[[], object], times: int = 60) -> np.ndarray:
    """Milliseconds of calls that follow each other."""
    return np.array([milliseconds(way) for _ in range(times)])


def beside_exact(
    exact: Callable, best: np.ndarray, arguments: tuple, cells: Callable[[], Cells | ScannCells], queries: np.ndarray
) -> dict:
    """Recall and latency of an inverted file for each number of probes, and exact search in between."""
    started = time.perf_counter()
    index = InvertedFileIndex(*arguments, cells=cells())
    found: dict = {"seconds_to_build": round(time.perf_counter() - started, 1), "probes": {}}
    ask = answering(index)
    for probes in (number for number in PROBES if number <= index.cells.num_cells // 4):
        index.cells.probes.assign(probes)
        recall = np.mean([np.isin(*pair).mean() for pair in zip(best, answers(ask, queries), strict=True)])
        times, alternating = in_turns(exact, ask, queries)
        own = times["ivf"]
        found["probes"][probes] = {
            "recall@100": round(float(recall), 4),
            "scanned": scanned(index, queries, probes),
            "p50": round(float(np.median(own)), 3),
            "p99": round(float(np.percentile(own, 99)), 3),
            "exact_p50": round(float(np.median(times["exact"])), 3),
            "times_faster": round(float(np.median(times["exact"]) / np.median(own)), 1),
            "times_faster_at_best": round(float(np.min(times["exact"]) / own.min()), 1),
            "alternating": {name: round(float(np.median(taken)), 3) for name, taken in alternating.items()},
        }
    batch = tf.constant(queries[:32])
    index.cells.probes.assign(8)
    turns = [[milliseconds(lambda way=way: way(batch)["scores"].numpy()) for way in (exact, ask)] for _ in range(9)]
    found["batch 32, 8 probes"] = dict(
        zip(("exact", "ivf"), np.round(np.median(turns, axis=0), 2).tolist(), strict=True)
    )
    return found


def in_turns(exact: Callable, ivf: Callable, queries: np.ndarray) -> tuple[dict, dict]:
    """Milliseconds of every query by both ways: all by one and then by the other, three times; and each by both."""
    ways = {"exact": exact, "ivf": ivf}
    tensors = [tf.constant(query[None]) for query in queries]

    def taken(way: Callable, query: tf.Tensor) -> float:
        return milliseconds(lambda: way(query)["scores"].numpy())

    blocks: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for name, way in ways.items():
            blocks[name] += [taken(way, query) for query in tensors]
    turns = [[taken(way, query) for way in ways.values()] for query in tensors]
    alternating = dict(zip(ways, np.transpose(turns), strict=True))
    return {name: np.array(times) for name, times in blocks.items()}, alternating


def scanned(index: InvertedFileIndex, queries: np.ndarray, probes: int) -> float:
    """The part of all rows that a query reads."""
    read = [index.cells.scan(tf.constant(query[None]), False, tf.constant(probes)).rows for query in queries]
    return round(float(np.mean([np.count_nonzero(rows.numpy() >= 0) for rows in read])) / int(index.num_candidates), 5)


def structureless(arguments: argparse.Namespace, size: int = 100_000) -> dict:
    """How many cells vectors without any structure need."""
    random = np.random.default_rng(arguments.seed)
    vectors = random.standard_normal((size, DIM), np.float32)
    queries = random.standard_normal((arguments.queries, DIM), np.float32)
    cells = Cells(cell_centers(vectors, default_num_cells(size)), 1, "int8")
    index = InvertedFileIndex([str(row) for row in range(size)], vectors, cells=cells)
    probes, recall = choose_probes(index, queries, 0.95)
    return {"cells": cells.num_cells, "probes": probes, "recall@100": round(recall, 4)}


def plot(found: dict, size: int, path: Path) -> None:
    """Recall against the median latency, one line for each type of vectors."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.8), layout="constrained")
    slowest = []
    for name in [*(f"ivf {dtype}" for dtype in DTYPES), *(["scann"] if "scann" in found else [])]:
        points = found[name]["probes"]
        axes.plot([p["p50"] for p in points.values()], [p["recall@100"] for p in points.values()], "o-", label=name)
        slowest += [p["exact_p50"] for p in points.values()]
    for probes, point in found["ivf int8"]["probes"].items():
        axes.annotate(str(probes), (point["p50"], point["recall@100"]), (4, -11), textcoords="offset points", size=8)
    axes.axvline(np.median(slowest), color="black", linestyle="--", label="exact")
    axes.axhline(0.95, color="grey", linewidth=0.7)
    axes.set(xscale="log", xlabel="milliseconds a query (median)", ylabel="recall@100")
    ticks = [2**power for power in range(10) if axes.get_xlim()[0] <= 2**power <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_title(f"{size:,} vectors of 64: cells that are read, and exact", size=10)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
