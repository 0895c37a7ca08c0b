"""Training a two-tower model against stock TensorFlow Recommenders, side by side in one run.

    python benchmarks/training.py --json training.json

Both train the same towers on the same interactions: a query is an embedding, a candidate is an embedding plus a dense
layer over a frozen vector. Stock is what the tutorials of TensorFlow Recommenders write (`from_tensor_slices`,
`shuffle`, `batch`; `Embedding` and `Dense` layers; `tasks.Retrieval`; Adagrad); it spends nothing on looking ids up,
for it is given row numbers as ours is. Ours is `Tower`, `TwoTower(loss="sampled_softmax")` and `InteractionBatches`
under plain `compile` and `fit`, with the same Adagrad. Ours does more for it: candidates that stand in a batch several
times are no negatives of themselves, the softmax is corrected for popularity, and the towers know what is missing.

Popularity falls with the rank as 1 / rank^skew, as in real logs: at the default 0.8 the most popular 1% of the
candidates have a third of the interactions (`--skew 0` makes all alike). Since ours has one column for each different
candidate, it gains from that; `columns` says how many there are.

`end_to_end` is one whole `fit` over the interactions, per batch; `step` is the training step alone, on batches that
are ready. `stock_cached` keeps stock's shuffled batches in memory after the first pass, which then come in the same
order in every pass (`ratio_end_to_end_cached`). `product` is the three bare matrix products that a softmax over the
batch and its gradient need. Each repeat times all ways one after the other; ratios are taken within a repeat.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Mapping

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tfmmrec  # noqa: F401  # isort: skip  before TensorFlow
import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from measuring import machine, parser, publish, spread, take_turns

from tfmmrec.data.batches import InteractionBatches
from tfmmrec.data.interactions import Interactions
from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.encoders.precomputed import PrecomputedEncoder
from tfmmrec.fusion.early import EarlyFusion
from tfmmrec.models.two_tower import TwoTower
from tfmmrec.towers import Tower

READY_BATCHES = 4
SHUFFLE_ROWS = 100_000  # as the tutorials have it
OPTIMIZERS: dict[str, Callable[[], tf.keras.optimizers.Optimizer]] = {
    "adagrad": lambda: tf.keras.optimizers.Adagrad(0.1),
    "legacy_adagrad": lambda: tf.keras.optimizers.legacy.Adagrad(0.1),
    "adam": lambda: tf.keras.optimizers.Adam(1e-3),
}


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--queries", type=int, default=100_000)
    options.add_argument("--candidates", type=int, default=50_000)
    options.add_argument("--interactions", type=int, default=245_760)
    options.add_argument("--batch", type=int, default=4096)
    options.add_argument("--dim", type=int, default=64)
    options.add_argument("--vector-dim", type=int, default=384)
    options.add_argument("--skew", type=float, default=0.8)
    options.add_argument("--steps", type=int, default=20, help="steps alone that are timed in a repeat")
    options.add_argument("--optimizer", choices=OPTIMIZERS, default="adagrad")
    arguments = options.parse_args()
    publish(measure(arguments), arguments.json)


def measure(arguments: argparse.Namespace) -> dict:
    """All the numbers, by name; seconds a batch as median, lowest and highest over the repeats."""
    tf.keras.utils.set_random_seed(arguments.seed)
    random = np.random.default_rng(arguments.seed)
    interactions = draw_interactions(random, arguments)
    vectors = random.standard_normal((arguments.candidates, arguments.vector_dim), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    optimizer = OPTIMIZERS[arguments.optimizer]

    stock = Stock(arguments, vectors)
    stock.compile(optimizer=optimizer())
    ours, stream = _ours(arguments, interactions, vectors)
    ours.compile(optimizer=optimizer())
    pipelines = {"stock": _stock_pipeline(interactions, arguments), "ours": stream.dataset()}
    cached = _stock_pipeline(interactions, arguments).cache()
    stock_ready, ours_ready = ([*itertools.islice(iter(rows), READY_BATCHES)] for rows in pipelines.values())
    num_batches = stream.steps_per_epoch
    ways = {
        "product": _steps(_product(arguments), [()], arguments.steps),
        "stock_end_to_end": _fit(stock, lambda: pipelines["stock"], num_batches),
        "end_to_end": _fit(ours, stream.dataset, num_batches),
        "stock_step": _steps(_train_step(stock), [(batch,) for batch in stock_ready], arguments.steps),
        "step": _steps(_train_step(ours), [(batch,) for batch in ours_ready], arguments.steps),
        "stock_cached_end_to_end": _fit(stock, lambda: cached, num_batches),
    }
    times = take_turns(ways, arguments.repeats)
    return {
        "ratio_end_to_end": spread(times["stock_end_to_end"] / times["end_to_end"]),
        "ratio_end_to_end_cached": spread(times["stock_cached_end_to_end"] / times["end_to_end"]),
        "ratio_step": spread(times["stock_step"] / times["step"]),
        "over_product": {
            name: spread(seconds / times["product"]) for name, seconds in times.items() if name != "product"
        },
        "seconds": {name: spread(seconds) for name, seconds in times.items()},
        "columns": {
            "stock": arguments.batch,
            "ours": int(ours_ready[0]["candidate_rows"].shape[0]),
            "different": float(np.mean([np.count_nonzero(batch["candidate_rows"] >= 0) for batch in ours_ready])),
        },
        "machine": machine(),
        "seed": arguments.seed,
        "sizes": {name: value for name, value in vars(arguments).items() if name not in ("json", "seed")},
    }


def draw_interactions(random: np.random.Generator, arguments: argparse.Namespace) -> Interactions:
    """Interactions of queries that are all alike active with candidates that are not alike popular."""
    popularity = 1.0 / np.arange(1, arguments.candidates + 1) ** arguments.skew
    chosen = random.choice(arguments.candidates, arguments.interactions, p=popularity / popularity.sum())
    counts = np.bincount(random.integers(0, arguments.queries, arguments.interactions), minlength=arguments.queries)
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return Interactions(indptr, chosen.astype(np.int32), {}, arguments.candidates)


class Stock(tfrs.Model):
    """The two towers of TensorFlow Recommenders' tutorials."""

    def __init__(self, arguments: argparse.Namespace, vectors: np.ndarray):
        super().__init__()
        layers = tf.keras.layers
        self.query_embedding = layers.Embedding(arguments.queries, arguments.dim)
        self.candidate_embedding = layers.Embedding(arguments.candidates, arguments.dim)
        self.vectors = layers.Embedding(*vectors.shape, weights=[vectors], trainable=False)
        self.candidate_dense = layers.Dense(arguments.dim)
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        rows = features["candidate"]
        candidates = self.candidate_embedding(rows) + self.candidate_dense(self.vectors(rows))
        return self.task(self.query_embedding(features["query"]), candidates)


def _stock_pipeline(interactions: Interactions, arguments: argparse.Namespace) -> tf.data.Dataset:
    rows = {"query": interactions.query_rows(), "candidate": interactions.indices}
    return tf.data.Dataset.from_tensor_slices(rows).shuffle(SHUFFLE_ROWS, seed=arguments.seed).batch(arguments.batch)


def _ours(
    arguments: argparse.Namespace, interactions: Interactions, vectors: np.ndarray
) -> tuple[TwoTower, InteractionBatches]:
    dim = arguments.dim
    query_ids, candidate_ids = ([str(row) for row in range(n)] for n in (arguments.queries, arguments.candidates))
    candidate_encoders = {
        "id": IdentifierEncoder(candidate_ids, dim, name="id"),
        "vector": PrecomputedEncoder(arguments.vector_dim, normalize=False, name="vector"),
    }
    query_encoders = {"id": IdentifierEncoder(query_ids, dim, name="id")}
    model = TwoTower(
        Tower(query_encoders, EarlyFusion(dim=dim, direct=("id",)), name="query_tower"),
        Tower(candidate_encoders, EarlyFusion(dim=dim, direct=("id",)), name="candidate_tower"),
        num_candidates=arguments.candidates,
        loss="sampled_softmax",
        candidate_counts=interactions.counts(),
        global_batch_size=arguments.batch,
    )
    model.build_towers()
    stream = InteractionBatches(
        interactions,
        {"id": {"row": np.arange(arguments.queries, dtype=np.int32)}},
        {"id": {"row": np.arange(arguments.candidates, dtype=np.int32)}, "vector": {"value": vectors}},
        arguments.batch,
        seed=arguments.seed,
    )
    return model, stream


def _fit(model: tf.keras.Model, pipeline: Callable[[], tf.data.Dataset], num_batches: int) -> Callable[[], float]:
    def way() -> float:
        start = time.perf_counter()
        losses = model.fit(pipeline(), epochs=1, steps_per_epoch=num_batches, verbose=0).history["loss"]
        seconds = time.perf_counter() - start
        if not np.isfinite(losses).all():
            raise SystemExit(f"{type(model).__name__} found a loss of {losses}: it does not train")
        return seconds / num_batches

    return way


def _train_step(model: tf.keras.Model) -> Callable:
    return tf.function(lambda batch: model.train_step(batch)["loss"])


def _steps(step: Callable, batches: list[tuple], num_steps: int) -> Callable[[], float]:
    def way() -> float:
        start = time.perf_counter()
        for _, batch in zip(range(num_steps), itertools.cycle(batches), strict=False):
            result = step(*batch)
        np.asarray(result)
        return (time.perf_counter() - start) / num_steps

    return way


def _product(arguments: argparse.Namespace) -> Callable:
    queries, candidates = (tf.random.normal([arguments.batch, arguments.dim]) for _ in range(2))

    @tf.function
    def product() -> tf.Tensor:
        scores = tf.matmul(queries, candidates, transpose_b=True)
        gradients = tf.matmul(scores, candidates), tf.matmul(scores, queries, transpose_a=True)
        return gradients[0][0, 0] + gradients[1][0, 0]

    return product


if __name__ == "__main__":
    main()
