"""Every model of the zoo, listed once, and a catalogue with every kind of feature to try them on.

The tests named `test_models_*` go over this list. A new entry of the zoo is in it by itself, and in the quick part
until `FAMILIES` says whose code it shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conformance.encoders import picture
from tests.conformance.preprocessed import preprocessed
from tfmmrec.callbacks.mine_negatives import hardest_candidates, mined_by
from tfmmrec.callbacks.settle import Settle
from tfmmrec.data.batches import BatchStream, InteractionBatches
from tfmmrec.data.dataset import Dataset, dataset_from_frames
from tfmmrec.data.query_batches import QueryBatches
from tfmmrec.data.statistics import Statistics, compute_statistics
from tfmmrec.embedding import Embedder
from tfmmrec.runs import history_length
from tfmmrec.zoo import ZOO

NUM_CANDIDATES, NUM_QUERIES, HISTORY_LENGTH = 30, 24, 4
SMALL = {"dim": 8, "feature_dim": 6, "text_dim": 5, "image_size": 16}
MISSING = {"title": "", "photo": b"", "genre": "", "tags": (), "artist": "", "price": np.nan, "look": None}
"""Candidates' feature -> what its table holds where it is missing."""


@dataclass(frozen=True)
class ModelCase:
    """One model.

    Attributes:
        name: of the case.
        model: of the zoo.
        own: hyperparameters that make the case.
    """

    name: str
    model: str
    own: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """retrieval or ranking."""
        return ZOO[self.model].kind

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Small, and those that make the case."""
        known = ZOO[self.model].hyperparameters
        return {name: value for name, value in SMALL.items() if name in known} | self.own

    def without_dropout(self) -> ModelCase:
        """The same model; nothing in it is left out at random."""
        off = {name: 0.0 for name in ZOO[self.model].hyperparameters if "dropout" in name}
        return ModelCase(self.name, self.model, self.own | off)

    def build(self) -> tf.keras.Model:
        """A new model with all its weights, the encoders of cached features frozen as in a training."""
        model = ZOO[self.model].build(catalogue().schema, statistics(), **self.hyperparameters)
        model.build_towers()
        for name in model.candidate_tower.cached_features:
            model.candidate_tower.encoders[name].trainable = False
        return model


SAMPLED = {"loss": "sampled_softmax", "global_batch_size": 32}
CASES: list[ModelCase] = [
    *(ModelCase(name, name) for name in ZOO),
    ModelCase("late", "two_tower", {"fusion": "late", "query_id": True}),
    ModelCase("hybrid", "two_tower", {"fusion": "hybrid", "hidden_dims": [7], "query_hidden_dims": [9]}),
    ModelCase("everything trained", "two_tower", {"image_mode": "finetuned", "text_mode": "finetuned"}),
    ModelCase("one history", "two_tower", {"history_tower": False, "content_weight": 0.5}),
    ModelCase("full softmax", "two_tower", {"loss": "full_softmax", "normalize": True}),
    ModelCase("sampled softmax", "two_tower", SAMPLED),
    ModelCase("sampled softmax of a stream", "two_tower", {"loss": "sampled_softmax", "count_frequencies": False}),
    ModelCase("transformer", "two_tower", {"history_encoder": "transformer", "num_history_heads": 2, "dropout": 0.1}),
    ModelCase("gru", "two_tower", {"loss": "full_softmax", "history_encoder": "gru", "num_history_layers": 1}),
    ModelCase("bpr", "two_tower", {"loss": "bpr", "mask_known_positives": True}),
    ModelCase("hinge", "two_tower", {"loss": "hinge", "negatives": "uniform", "num_negatives": 8}),
    ModelCase("mixed negatives", "two_tower", {**SAMPLED, "negatives": "mixed", "num_negatives": 8}),
    ModelCase("mined negatives", "two_tower", {"loss": "sampled_softmax", "negatives": "mined", "num_mined": 3}),
    ModelCase("autoencoder of content", "mult_dae", {"content": True, "identifier_dropout": 0.25}),
    ModelCase("vbpr under a softmax", "vbpr", {"loss": "auto"}),
    ModelCase("ranker under a softmax", "ranker", {"loss": "softmax", "num_negatives": 3, "dropout": 0.1}),
    ModelCase("lightgcn under a softmax", "lightgcn", {"loss": "full_softmax", "num_layers": 1}),
    ModelCase("mmgcn under a softmax", "mmgcn", {"loss": "full_softmax", "num_layers": 3, "combination": "concat"}),
    ModelCase("lattice under a softmax", "lattice", {"loss": "full_softmax", "num_content_layers": 2}),
    ModelCase("freedom under a softmax", "freedom", {"loss": "full_softmax", "num_content_layers": 2}),
    ModelCase("multimodal graph under bpr", "multimodal_graph", {"loss": "bpr", "hold_out": False, "num_layers": 3}),
    ModelCase("every task", "multitask", {"category": "artist", "tags": "tags", "task_weighting": "uncertainty"}),
    ModelCase("tasks of batches", "multitask", {**SAMPLED, "category": "artist", "alignment": ("conversion",)}),
    ModelCase("bm3 under a softmax", "bm3", {"loss": "full_softmax", "num_layers": 2}),
    ModelCase("graph", "two_tower", {"fusion": "graph"}),
    ModelCase("graph of batches", "two_tower", {**SAMPLED, "fusion": "graph_attention", "identifier_dropout": 0.1}),
    ModelCase("graph without ids", "two_tower", {"fusion": "graph_concat", "candidate_id": False}),
    ModelCase("aligned", "two_tower", {"alignment": ("conversion", "contrastive"), "alignment_weight": 0.5}),
    ModelCase("aligned batches", "two_tower", {**SAMPLED, "alignment": ("subspace", "contrastive", "adversarial")}),
    ModelCase("aligned in turns", "two_tower", {"alignment": ("adversarial_alternating",)}),
    ModelCase("quotients of ids", "two_tower", {"identifier": "quotient_remainder", "query_id": True}),
    ModelCase("linear blend of full softmax", "linear_blend", {"loss": "full_softmax", "rank": 40, "fusion": "gated"}),
    ModelCase("tasks aligned in turns", "multitask", {**SAMPLED, "alignment": ("adversarial_alternating",)}),
]


FAMILIES = {
    "two_tower": ("id_only", "content_only", "history_only", "vbpr", "mult_dae"),
    "multimodal_graph": ("lightgcn", "mmgcn", "lattice", "freedom", "bm3"),
    "ranker": ("mmdfm", "mmal"),
}
"""A model of the zoo -> those that are made of much the same code. `make test` tries what costs much on it alone."""

COVERED = {name for family in FAMILIES.values() for name in family}
QUICK = [case for case in CASES if case.name in {*ZOO, "sampled softmax"} - COVERED]


def quick_or_slow(cases: Iterable[ModelCase], quick: Sequence[ModelCase] = QUICK) -> list:
    """The cases as parameters of a test, marked `slow` but for the quick ones."""
    return [case if case in quick else pytest.param(case, marks=pytest.mark.slow) for case in cases]


QUICK_OR_SLOW = quick_or_slow(CASES)


@cache
def catalogue() -> Dataset:
    """Candidates with every kind of feature, each missing somewhere; the last six are cold."""
    random = np.random.default_rng(5)
    words = np.array("slow fast loud quiet warm cold bright dark".split())
    columns = {
        "title": [" ".join(random.choice(words, 3)) for _ in range(NUM_CANDIDATES)],
        "photo": [picture(*random.integers(0, 255, 2)) for _ in range(NUM_CANDIDATES)],
        "genre": random.choice(["rock|folk", "jazz", "folk"], NUM_CANDIDATES).tolist(),
        "tags": [tuple(random.choice(["sad", "glad", "calm"], 2, replace=False)) for _ in range(NUM_CANDIDATES)],
        "artist": [f"artist {i % 5}" for i in range(NUM_CANDIDATES)],
        "price": random.normal(20, 5, NUM_CANDIDATES).tolist(),
        "look": list(random.normal(size=(NUM_CANDIDATES, 3))),
    }
    for place, (name, missing) in enumerate(MISSING.items()):
        columns[name][place] = missing
    columns["look"][list(MISSING).index("look")] = np.full(3, np.nan)
    candidates = pd.DataFrame({"id": [f"c{i}" for i in range(NUM_CANDIDATES)], **columns})
    queries = pd.DataFrame(
        {
            "id": [f"q{i}" for i in range(NUM_QUERIES)],
            "about": [" ".join(random.choice(words, 2)) for _ in range(NUM_QUERIES)],
            "age": random.integers(18, 70, NUM_QUERIES).astype(float),
            "region": random.choice(["n", "s"], NUM_QUERIES),
        }
    )
    pairs = [(q, c) for q in range(NUM_QUERIES) for c in random.choice(NUM_CANDIDATES - 6, 7, replace=False)]
    log = pd.DataFrame(
        {
            "query": [f"q{q}" for q, _ in pairs],
            "candidate": [f"c{c}" for _, c in pairs],
            "time": random.permutation(len(pairs)).astype(float),
            "stars": np.where(np.arange(len(pairs)) % 9, np.arange(len(pairs)) % 5 + 1.0, np.nan),
        }
    )
    schema = {
        "interactions": {
            "query": "query",
            "candidate": "candidate",
            "timestamp": "time",
            "rating": "stars",
            "split": {"method": "leave_one_out"},
        },
        "candidates": {
            "id": "id",
            "features": {
                "title": {"kind": "text"},
                "photo": {"kind": "image"},
                "genre": {"kind": "category", "separator": "|"},
                "tags": {"kind": "category", "max_values": 3},
                "artist": {"kind": "identifier"},
                "price": {"kind": "number"},
                "look": {"kind": "vector"},
            },
        },
        "queries": {
            "id": "id",
            "history": {"length": HISTORY_LENGTH},
            "features": {"about": {"kind": "text"}, "age": {"kind": "number"}, "region": {"kind": "category"}},
        },
    }
    return dataset_from_frames(schema, log, candidates, queries)


@cache
def statistics() -> Statistics:
    """Of the catalogue."""
    return compute_statistics(catalogue())


@dataclass
class Ready:
    """A model with all that its steps take, as a training puts it together.

    Attributes:
        model: built and compiled.
        stream: batches of train.
        embedder: of the catalogue.
    """

    model: tf.keras.Model
    stream: BatchStream
    embedder: Embedder

    def fit(self, steps: int) -> list[float]:
        """Trains for some steps; the loss of each."""
        losses = []
        noted = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["loss"]))
        with self.model.distribute_strategy.scope():  # as a training does; the first step would be traced twice
            self.model.optimizer.build(self.model.trainable_variables)
        options = {"steps_per_epoch": 1, "callbacks": [noted], "verbose": 0}  # the loss is the mean of an epoch
        self.model.fit(self.stream.dataset(), epochs=steps, **options)
        if self.model.needs_graph:
            self.model.materialize()
        self.settle()
        return losses

    def settle(self) -> None:
        """What `Settle` does before a training and after an epoch, where the model is trained beside one."""
        if self.model.settles:
            callback = Settle(self.embedder, catalogue().train)
            callback.on_train_begin()
            callback.on_epoch_end(0)

    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Of all candidates and of all queries, with their histories."""
        candidates = self.embedder.candidates()
        return candidates, self.embedder.queries(np.arange(NUM_QUERIES), candidates, catalogue().train)


def ready(
    case: ModelCase,
    optimizer: Callable[[], tf.keras.optimizers.Optimizer] = lambda: tf.keras.optimizers.Adam(0.01),
    strategy: tf.distribute.Strategy | None = None,
    seed: int = 0,
    batch_size: int = 24,
) -> Ready:
    """Builds a case under a strategy, and compiles it."""
    strategy = strategy or tf.distribute.get_strategy()
    tf.keras.utils.set_random_seed(seed)
    with strategy.scope():
        model = case.build()
        model.compile(optimizer=optimizer())
    dataset = catalogue()
    cached = model.candidate_tower.cached_features
    queries = preprocessed(model.query_tower, dataset.queries, dataset.schema.queries.features)
    candidates = preprocessed(model.candidate_tower, dataset.candidates, dataset.schema.candidates.features, cached)
    length = history_length(model)
    if model.needs_catalogue:
        model.set_catalogue(candidates)
    if model.needs_graph:
        model.set_graph(dataset.train)  # it has the histories
    if model.settles:  # as `Settle` does before the first step
        model.set_interactions(dataset.train)
    if model.loss_name == "multinomial":
        stream: BatchStream = QueryBatches(dataset.train, queries, batch_size, length)
    else:
        tables = {} if model.needs_catalogue else candidates
        own = 0 if model.needs_graph else length
        groups = strategy.num_replicas_in_sync
        stream = InteractionBatches(dataset.train, queries, tables, batch_size, own, num_groups=groups)
    embedder = Embedder(model, queries, candidates, NUM_CANDIDATES, length)
    if model.history_table is not None:  # as `RefreshHistory` does before the first step
        model.history_table.assign(embedder.candidates())
    mined = mined_by(model)
    if mined is not None:  # as `MineNegatives` does
        mined.assign(hardest_candidates(embedder, dataset.train, mined.depth))
    return Ready(model, stream, embedder)


def named(name: str) -> ModelCase:
    """The case of this name."""
    return next(case for case in CASES if case.name == name)


def by_name(case: ModelCase) -> str:
    """What a test is called by."""
    return case.name
