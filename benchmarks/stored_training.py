"""What training with stored vectors of a pretrained encoder costs beside training with ids alone.

    python benchmarks/stored_training.py --json stored_training.json

One log, two models of the zoo as `tfmmrec train` builds them: `ids`, a vector for each query and each candidate, and
`stored`, the same with the candidates' texts, whose vectors come from the feature store, which an encoder fills before.
Loss, batches and optimizer are the zoo's for both. A round times one epoch of each, one after the other, and takes
their ratio; so what else the machine does falls on both alike. `ratio_cpu` compares the processor's seconds of all
threads, which say more where others use the machine too. `stored_half` is a store of float16, `fill_seconds` what
reading the store takes, once for a training.

`--loss multinomial`, which is two_tower's up to 20,000 candidates, embeds the whole catalogue in every step; then
`--content-weight 0` leaves out its second softmax beside content, which makes it stand in for ids that are not known.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tfmmrec  # isort: skip  before TensorFlow
import numpy as np
import pandas as pd
import tensorflow as tf
from measuring import machine, parser, publish, spread, take_turns
from training import draw_interactions

from tfmmrec.data.batches import BatchStream, InteractionBatches
from tfmmrec.data.dataset import Dataset, dataset_from_frames
from tfmmrec.data.query_batches import QueryBatches
from tfmmrec.data.statistics import Statistics, compute_statistics
from tfmmrec.embedding import preprocess_entities
from tfmmrec.optimizers import make_optimizer
from tfmmrec.runs import RunConfig, build_model
from tfmmrec.training_options import options_of

NUM_BUCKETS = 4096
WORDS = np.array("red blue warm cold loud quiet old new small large round flat wool steel glass paper".split())


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--queries", type=int, default=50_000)
    options.add_argument("--candidates", type=int, default=20_000)
    options.add_argument("--interactions", type=int, default=500_000)
    options.add_argument("--vector-dim", type=int, default=384)
    options.add_argument("--dim", type=int, default=256, help="of both towers' vectors")
    options.add_argument("--skew", type=float, default=0.8)
    options.add_argument("--loss", default="sampled_softmax", choices=("sampled_softmax", "multinomial", "bpr"))
    options.add_argument("--batch", type=int, help="the model's own when left out")
    options.add_argument("--content-weight", type=float, default=0.5)
    options.add_argument("--steps", type=int, help="only so many of an epoch, for a machine that is slow")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TFMMREC_STORE"] = str(Path(folder) / "store")
        publish(measure(arguments, Path(folder)), arguments.json)


def measure(arguments: argparse.Namespace, folder: Path) -> dict:
    """All the numbers, by name; seconds and ratios as median, lowest and highest over the repeats."""
    random = np.random.default_rng(arguments.seed)
    dataset = _dataset(random, arguments)
    statistics = compute_statistics(dataset)
    encoder = _write_encoder(folder / "encoder", arguments.vector_dim, random)
    content = {"content": True, "pretrained": {"title": encoder}, "content_weight": arguments.content_weight}
    made = {
        "ids": _Training(dataset, statistics, arguments, {"content": False}),
        "stored": _Training(dataset, statistics, arguments, content),
        "stored_half": _Training(dataset, statistics, arguments, content, "float16"),
    }
    times = take_turns({name: training.epoch for name, training in made.items()}, arguments.repeats)
    cpu = {name: np.array(training.cpu_seconds[1:]) for name, training in made.items()}
    return {
        "ratio": spread(times["stored"] / times["ids"]),
        "ratio_half": spread(times["stored_half"] / times["ids"]),
        "ratio_cpu": spread(cpu["stored"] / cpu["ids"]),
        "ratio_cpu_half": spread(cpu["stored_half"] / cpu["ids"]),
        "seconds_a_step": {name: spread(seconds) for name, seconds in times.items()},
        "cpu_seconds_a_step": {name: spread(seconds / made[name].num_steps) for name, seconds in cpu.items()},
        "fill_seconds": {name: round(training.fill_seconds, 3) for name, training in made.items() if name != "ids"},
        "steps": made["ids"].num_steps,
        "batch": made["ids"].stream.batch_size,
        "machine": machine(),
        "seed": arguments.seed,
        "sizes": {name: value for name, value in vars(arguments).items() if name not in ("json", "seed")},
    }


def _dataset(random: np.random.Generator, arguments: argparse.Namespace) -> Dataset:
    drawn = draw_interactions(random, arguments)
    log = pd.DataFrame({"query": drawn.query_rows().astype(str), "candidate": drawn.indices.astype(str)})
    words = random.choice(WORDS, (arguments.candidates, 6))
    candidates = pd.DataFrame(
        {"id": np.arange(arguments.candidates).astype(str), "title": [" ".join(row) for row in words]}
    )
    schema = {
        "interactions": {"query": "query", "candidate": "candidate"},
        "candidates": {"id": "id", "features": {"title": {"kind": "text"}}},
        "queries": {"history": {"length": 50}},
    }
    return dataset_from_frames(schema, {"train": log, "test": log[:1]}, candidates)


def _write_encoder(folder: Path, dim: int, random: np.random.Generator) -> str:
    """A reusable SavedModel of texts that does next to nothing: what is stored is as large as of any other."""
    table = tf.Variable(random.standard_normal((NUM_BUCKETS, dim), np.float32))
    model = tf.train.Checkpoint()
    model.__call__ = tf.function(
        lambda texts: tf.gather(table, tf.strings.to_hash_bucket_fast(texts, NUM_BUCKETS)),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    model.variables, model.trainable_variables, model.regularization_losses = [table], [table], []
    tf.saved_model.save(model, str(folder))
    return str(folder)


class _Training:
    """A model with its stream, as `tfmmrec train` puts them together.

    Args:
        dataset: what is trained on.
        statistics: of it.
        arguments: of the benchmark.
        content: hyperparameters that say what candidates have beside ids.
        store_dtype: of the feature store.
    """

    def __init__(
        self,
        dataset: Dataset,
        statistics: Statistics,
        arguments: argparse.Namespace,
        content: dict,
        store_dtype: str = "float32",
    ):
        tf.keras.utils.set_random_seed(arguments.seed)
        by_history = arguments.loss == "multinomial"  # whose rows are queries: they are read by what they chose
        own = {"loss": arguments.loss, "dim": arguments.dim, "history": by_history, "query_id": not by_history}
        own |= content
        given = {} if arguments.batch is None else {"batch_size": arguments.batch}
        options = options_of("two_tower", own, given | {"seed": arguments.seed}, arguments.candidates)
        self.model = build_model(_config(dataset, own, options), statistics)
        tower, features = self.model.candidate_tower, dataset.schema.candidates.features
        for name in tower.cached_features:
            tower.encoders[name].trainable = False
        tables = self._tables(tower, dataset, features, store_dtype)
        start = time.perf_counter()
        tables = self._tables(tower, dataset, features, store_dtype)  # what was encoded is read
        self.fill_seconds = time.perf_counter() - start
        queries = preprocess_entities(self.model.query_tower, dataset.queries, {})
        self.stream = self._stream(dataset, queries, tables, options.batch_size, arguments.seed)
        self.model.compile(optimizer=make_optimizer(self.model, options, self.stream.steps_per_epoch))
        self.model.optimizer.build(self.model.trainable_variables)
        if self.model.needs_catalogue:
            self.model.set_catalogue(tables)
        self.cpu_seconds: list[float] = []
        self.num_steps = min(arguments.steps or self.stream.steps_per_epoch, self.stream.steps_per_epoch)

    def _tables(self, tower, dataset: Dataset, features, store_dtype: str) -> dict:
        return preprocess_entities(tower, dataset.candidates, features, tower.cached_features, store_dtype=store_dtype)

    def _stream(self, dataset: Dataset, queries, tables, batch_size: int, seed: int) -> BatchStream:
        encoder = self.model.query_tower.encoders.get("history")
        if self.model.loss_name == "multinomial":
            return QueryBatches(dataset.train, queries, batch_size, encoder.length, seed=seed)
        return InteractionBatches(
            dataset.train, queries, {} if self.model.needs_catalogue else tables, batch_size, seed=seed
        )

    @property
    def epoch(self) -> Callable[[], float]:
        """Trains for an epoch and returns the seconds of a step."""

        def way() -> float:
            start, cpu_start = time.perf_counter(), time.process_time()
            found = self.model.fit(self.stream.dataset(), epochs=1, steps_per_epoch=self.num_steps, verbose=0)
            seconds = time.perf_counter() - start
            self.cpu_seconds.append(time.process_time() - cpu_start)
            if not np.isfinite(found.history["loss"]).all():
                raise SystemExit(f"a loss of {found.history['loss']}: it does not train")
            return seconds / self.num_steps

        return way


def _config(dataset: Dataset, hyperparameters: dict, options) -> RunConfig:
    return RunConfig(
        run_id="benchmark",
        version=tfmmrec.__version__,
        model="two_tower",
        hyperparameters=hyperparameters,
        options=options.model_dump(),
        data_schema=dataset.schema,
    )


if __name__ == "__main__":
    main()
