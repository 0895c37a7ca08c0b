"""Full-corpus metrics against `tfrs.metrics.FactorizedTopK`, side by side in one run.

    python benchmarks/evaluation.py --json evaluation.json

Both judge the same vectors, at 20. Ours, which is what validates a training after every epoch, leaves out
what each query has seen and gives Recall, Precision, NDCG, MRR, MAP and hit rate; FactorizedTopK gives the
hit rate and leaves nothing out. FactorizedTopK's time depends on the batches its candidates come in. It is
timed in batches of 4,096 (`ratio_evaluation`), of 128, as TensorFlow Recommenders' tutorials write it
(`ratio_evaluation_tutorials`), and of 1,024 and 16,384; `ratio_evaluation_tuned` is about the fastest of them
all. Queries come to it in batches of 4,096. Each repeat times all ways one after the other; ratios are taken
within a repeat.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from measuring import machine, parser, publish, spread, take_turns

from tfmmrec.data.dataset import Interactions
from tfmmrec.evaluation import VectorsScorer, quick_metrics, vectors_scorer

K = 20
CANDIDATE_BATCHES = (128, 1024, 4096, 16384)
QUERY_BATCH = 4096


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--queries", type=int, default=8192)
    options.add_argument("--candidates", type=int, default=50_000)
    options.add_argument("--dim", type=int, default=64)
    options.add_argument("--seen", type=int, default=20, help="seen candidates of each query")
    arguments = options.parse_args()
    publish(measure(arguments), arguments.json)


def measure(arguments: argparse.Namespace) -> dict:
    """All the numbers, by name; seconds as median, lowest and highest over the repeats."""
    random = np.random.default_rng(arguments.seed)
    candidates = random.standard_normal((arguments.candidates, arguments.dim), np.float32)
    seen = _interactions(random, arguments.queries, arguments.candidates, arguments.seen)
    positives = _positives(random, seen)
    noise = random.standard_normal((arguments.queries, arguments.dim), np.float32)
    queries = 0.4 * candidates[positives.indices] + noise  # so that some positives are found and some are not
    scorer = vectors_scorer(queries, candidates)
    ways: dict[str, Callable[[], float | None]] = {
        "product": _product(scorer),
        "ours": lambda: quick_metrics(scorer, seen, positives, (K,))[f"hit_rate@{K}"],
    }
    for batch in CANDIDATE_BATCHES:
        ways[f"tfrs_{batch}"] = _factorized_top_k(queries, candidates, positives.indices, batch)
    values: dict[str, float | None] = {}

    def timed(name: str) -> float:
        start = time.perf_counter()
        values[name] = ways[name]()
        return time.perf_counter() - start

    times = take_turns({name: partial(timed, name) for name in ways}, arguments.repeats)
    _check_agreement(values, arguments)
    tuned = min((f"tfrs_{batch}" for batch in CANDIDATE_BATCHES), key=lambda name: np.median(times[name]))
    return {
        "ratio_evaluation": spread(times["tfrs_4096"] / times["ours"]),
        "ratio_evaluation_tutorials": spread(times["tfrs_128"] / times["ours"]),
        "ratio_evaluation_tuned": spread(times[tuned] / times["ours"]) | {"tfrs": tuned},
        "over_product": {
            name: spread(measured / times["product"]) for name, measured in times.items() if name != "product"
        },
        "seconds": {name: spread(measured) for name, measured in times.items()},
        "hit_rate": {name: value for name, value in values.items() if value is not None},
        "machine": machine(),
        "seed": arguments.seed,
        "sizes": {name: getattr(arguments, name) for name in ("queries", "candidates", "dim", "seen", "repeats")},
    }


def _interactions(random: np.random.Generator, num_queries: int, num_candidates: int, each: int) -> Interactions:
    rows = [np.sort(random.choice(num_candidates, each, replace=False)) for _ in range(num_queries)]
    indptr = np.arange(num_queries + 1, dtype=np.int64) * each
    return Interactions(indptr, np.concatenate(rows).astype(np.int32), {}, num_candidates)


def _positives(random: np.random.Generator, seen: Interactions) -> Interactions:
    """One candidate for each query, which it has not seen."""
    chosen = random.integers(0, seen.num_candidates, seen.num_queries)
    for query in range(seen.num_queries):
        while chosen[query] in seen.candidates_of(query):
            chosen[query] = random.integers(0, seen.num_candidates)
    indptr = np.arange(seen.num_queries + 1, dtype=np.int64)
    return Interactions(indptr, chosen.astype(np.int32), {}, seen.num_candidates)


def _product(scorer: VectorsScorer) -> Callable[[], None]:
    import tensorflow as tf

    @tf.function
    def product(vectors: tf.Tensor) -> tf.Tensor:
        return tf.matmul(vectors, candidates)[0, 0]

    candidates = tf.constant(scorer.candidate_vectors.T)

    def way() -> None:
        for start in range(0, len(scorer.query_vectors), 512):
            product(scorer.query_vectors[start : start + 512])

    return way


def _factorized_top_k(
    queries: np.ndarray, candidates: np.ndarray, positives: np.ndarray, candidate_batch: int
) -> Callable[[], float]:
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    batches = tf.data.Dataset.from_tensor_slices(candidates).batch(candidate_batch)
    metric = tfrs.metrics.FactorizedTopK(candidates=batches, ks=(K,))

    @tf.function
    def update(vectors: tf.Tensor, positive_vectors: tf.Tensor) -> None:
        metric.update_state(vectors, positive_vectors)

    def way() -> float:
        metric.reset_states()
        for start in range(0, len(queries), QUERY_BATCH):
            rows = slice(start, start + QUERY_BATCH)
            update(queries[rows], candidates[positives[rows]])
        return float(metric.result()[0])

    return way


def _check_agreement(values: dict[str, float | None], arguments: argparse.Namespace) -> None:
    """Hit rates differ a little: only ours leaves out the seen, and FactorizedTopK compares a positive's score with
    the same score computed in another way, so that by rounding a positive may stand behind itself."""
    slack = arguments.seen / arguments.candidates + 0.01
    for name, value in values.items():
        if value is not None and abs(value - values["ours"]) > slack:
            raise SystemExit(f"{name} found a hit rate of {value}, ours {values['ours']}: they do not measure the same")


if __name__ == "__main__":
    main()
