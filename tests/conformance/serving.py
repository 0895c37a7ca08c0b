"""What the conformance tests of served models share: the models, a stock process that asks them, their own numbers."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.serving.catalogue import fashion, recordings, songs, untrained_run
from tfmmrec.callbacks.settle import Settle
from tfmmrec.data.dataset import Dataset
from tfmmrec.runs import Run
from tfmmrec.search.cascade import DEPTH, CascadeScorer
from tfmmrec.search.content_sample import ContentSample
from tfmmrec.search.pair_scorer import PairScorer
from tfmmrec.search.scorer import vectors_scorer
from tfmmrec.serving.index import content_sample
from tfmmrec.zoo import ZOO

STOCK_RUNTIME = Path(__file__).with_name("stock_runtime.py")


@dataclass(frozen=True)
class ServedCase:
    """One model that is exported and asked.

    Attributes:
        dataset: a name of `DATASETS`.
        model: of the zoo.
        hyperparameters: of the model.
    """

    dataset: str
    model: str
    hyperparameters: tuple[tuple[str, Any], ...] = ()


CASES: dict[str, ServedCase] = {
    **{name: ServedCase("fashion", name) for name, entry in ZOO.items() if entry.kind == "retrieval"},
    "every kind of feature": ServedCase("songs", "two_tower"),
    "sounds and videos": ServedCase(
        "recordings", "two_tower", (("audio_seconds", 0.2), ("video_frames", 3), ("video_pooling", "gru"))
    ),
    "late, transformer": ServedCase(
        "songs", "two_tower", (("fusion", "late"), ("history_encoder", "transformer"), ("loss", "sampled_softmax"))
    ),
    "hybrid": ServedCase("songs", "two_tower", (("fusion", "hybrid"), ("history_tower", False))),
    "aligned, hashed ids, lstm": ServedCase(
        "songs",
        "two_tower",
        (
            ("alignment", ("conversion", "subspace")),
            ("identifier", "hashed"),
            ("query_id", True),
            ("history_encoder", "lstm"),
        ),
    ),
    "graph": ServedCase("songs", "two_tower", (("fusion", "graph"),)),
    "features alone": ServedCase("songs", "two_tower", (("query_id", False), ("history", False))),
    "no query features": ServedCase("plain", "two_tower", (("normalize", True),)),
}

RANKING_CASES: dict[str, ServedCase] = {
    name: ServedCase("many songs", name) for name, entry in ZOO.items() if entry.kind == "ranking"
}
"""Each is exported alone, and behind a retrieval model."""

REWRITTEN = ("hybrid", "ranker")
"""Cases whose graphs are run as a server rewrites them, which takes a minute: one of every kind of feature, and a
cascade."""
QUICK = ("every kind of feature",)
"""What `make test` tries: every export costs some 15 seconds of a processor until it has answered. `tests/serving` asks
a ranking model, alone and behind a retriever, in the tests' own process."""


def quick_or_slow(cases: Iterable[str]) -> list:
    """Names of cases as parameters of a fixture, marked `slow` but for the quick ones."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in cases]


DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "fashion": lambda folder: fashion(folder / "fashion"),
    "songs": lambda folder: songs(),
    "plain": lambda folder: songs(query_features=False),
    "recordings": lambda folder: recordings(),
    "many songs": lambda folder: songs(num_candidates=DEPTH + 40),
}


def make_run(case: ServedCase, dataset: Dataset, folder: Path) -> Run:
    """The case's run; it has learned nothing."""
    run = untrained_run(dataset, folder, case.model, **dict(case.hyperparameters))
    if run.model.needs_catalogue:
        run.model.set_catalogue(run.embedder(dataset).candidate_tables)
    if run.model.needs_graph:
        run.model.set_graph(dataset.train)
        run.model.materialize()
    if run.model.settles:
        settle = Settle(run.embedder(dataset), dataset.train)
        settle.on_train_begin()
        settle.on_epoch_end(0)
    return run


def as_it_is(path: Path) -> bool:
    """That an exported model's graph is not rewritten, as `ask_stock_runtime` asks for it."""
    return False


def ask_stock_runtime(
    questions: list[tuple[Path, list]], folder: Path, rewritten: Callable[[Path], bool] = lambda path: True
) -> list[list[dict[str, np.ndarray]]]:
    """Runs `stock_runtime.py` in a process of its own, which finds no project to import.

    Args:
        questions: exported models, and the (signature, inputs) that each is asked.
        folder: for what the processes tell each other.
        rewritten: of an exported model, whether its graph is rewritten first, as a server's is.
    """
    requests, answers = folder / "requests.pickle", folder / "answers.pickle"
    requests.write_bytes(pickle.dumps([(str(path), asked, rewritten(path)) for path, asked in questions]))
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "TF_USE_LEGACY_KERAS")
    }
    command = [sys.executable, str(STOCK_RUNTIME), str(requests), str(answers)]
    limit = 240 + 60 * len(questions)  # seconds, on a machine that does much else
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=limit)
    assert done.returncode == 0, done.stderr[-3000:]
    return pickle.loads(answers.read_bytes())


class PythonModel:
    """The model's own vectors of raw inputs, by the functions that training and evaluation use.

    Args:
        run: the model's.
        dataset: the index's candidates.
        exported: whose train holds what known queries chose; `dataset` when None.
    """

    def __init__(self, run: Run, dataset: Dataset, exported: Dataset | None = None):
        self.exported = exported or dataset
        self.model = run.model
        self.ids = dataset.candidates.ids.to_pylist()
        self.counts = dataset.train.counts()
        self.embedder = run.embedder(dataset)
        self.vectors = self.embedder.candidates()
        pooled = self.embedder.history_vectors()
        self.pooled = self.vectors if pooled is None else pooled

    def rows(self, ids) -> list[int]:
        """The rows of the different known ids, in order."""
        known = {id.encode(): row for row, id in enumerate(self.ids)}
        return list(dict.fromkeys(known[id] for id in np.ravel(_as_bytes(ids)) if id in known))

    def stored(self, query_id: str | bytes) -> list[int]:
        """The rows of all that a known query chose in train, newest first; none of an unknown one."""
        name = query_id.decode() if isinstance(query_id, bytes) else query_id
        row = int(self.exported.queries.row_of([name])[0])
        chosen = self.exported.train.candidates_of(row)[::-1] if row >= 0 else []
        return self.rows([self.exported.candidates.ids[int(candidate)].as_py() for candidate in chosen])

    def chosen(self, inputs: dict, defaults: dict) -> list[list[int]]:
        """For each row all that must not be recommended: what is sent, and what is stored."""
        sent, own = _given("history", inputs, defaults), _given("query_id", inputs, defaults)
        return [self.rows(row) + self.stored(id) for row, id in zip(sent, own, strict=True)]

    def query(self, inputs: dict, defaults: dict) -> np.ndarray:
        """Vectors of `query_<feature>` and `history`, or the stored history where no known one is sent."""
        tower = self.model.query_tower
        numeric = _numeric(tower, "query", inputs, defaults)
        if "history" in tower.encoders:
            sent, own = _given("history", inputs, defaults), _given("query_id", inputs, defaults)
            histories = [self.rows(row) or self.stored(id)[: sent.shape[1]] for row, id in zip(sent, own, strict=True)]
            length = max(1, *map(len, histories))
            numeric["history"] = {"rows": tf.constant([rows + [-1] * (length - len(rows)) for rows in histories])}
        return self.model.embed_queries(numeric, tf.constant(self.pooled), training=False).numpy()

    def candidate(self, inputs: dict, defaults: dict) -> np.ndarray:
        """Vectors of `candidate_id` and `candidate_<feature>`."""
        numeric = _numeric(self.model.candidate_tower, "candidate", inputs, defaults)
        return self.model.embed_candidates(numeric, training=False).numpy()

    def content(self, inputs: dict, defaults: dict) -> np.ndarray:
        """Vectors of `candidate_<feature>`, less the mean vector of a sample of which as much is given."""
        tower = self.model.candidate_tower
        embedded = tower.encode(_numeric(tower, "candidate", inputs, defaults), training=False)
        sample = content_sample(self.model, self.embedder.candidate_tables, len(self.ids))
        return self.model.embed_candidates(embedded).numpy() - mean_vectors(self.model, sample, embedded)

    def cosines(self, differences: np.ndarray) -> np.ndarray:
        """With all candidates less their mean, `[batch, num_candidates]`."""
        return _unit(differences) @ _unit(self.vectors - self.vectors.mean(axis=0)).T


def cascade_scores(
    retriever: PythonModel, ranker: PythonModel, inputs: dict, defaults: dict, out: list[list[int]]
) -> np.ndarray:
    """Scores of all candidates as evaluation has them, `[batch, num_candidates]`; `out` has each row's left out."""
    first = vectors_scorer(retriever.query(inputs, defaults), retriever.vectors)
    pairs = PairScorer(ranker.model, ranker.query(inputs, defaults), ranker.vectors).pairs
    seen = [(place, row) for place, rows in enumerate(out) for row in sorted(set(rows))]
    scorer = CascadeScorer(first, pairs, popularity=retriever.counts)
    return scorer(np.arange(len(out)), np.array(seen, np.int32).reshape(-1, 2)).numpy()


def pair_scores(ranker: PythonModel, inputs: dict, defaults: dict) -> np.ndarray:
    """The score of each row's query and candidate by a ranking model, `[batch]`."""
    query, candidate = ranker.query(inputs, defaults), ranker.candidate(inputs, defaults)
    return ranker.model.score_pairs(tf.constant(query), tf.constant(candidate)).numpy()


def mean_vectors(model, sample: ContentSample, embedded: dict) -> np.ndarray:
    """For each row of some embedded modalities the mean vector of the sample, as if it had the same ones."""
    means = []
    for row in range(len(next(iter(embedded.values()))["present"])):
        given = {name: bool(part["present"][row]) for name, part in embedded.items()}
        parts = {
            name: {key: value if given[name] else tf.zeros_like(value) for key, value in part.items()}
            for name, part in sample.parts.items()
        }
        means.append(model.embed_candidates(parts).numpy().mean(axis=0))
    return np.array(means)


def check_ranking(model: PythonModel, answer: dict, row: int, expected: np.ndarray, k: int) -> None:
    """An answer's row holds the k best of the expected scores, and says whose they are."""
    ids, scores = answer["candidate_ids"][row], answer["scores"][row]
    best = np.sort(expected[np.isfinite(expected)])[::-1][:k]
    np.testing.assert_allclose(scores[: len(best)], best, rtol=1e-4, atol=1e-5)
    rows = model.rows(ids[: len(best)])
    np.testing.assert_allclose(expected[rows], scores[: len(best)], rtol=1e-4, atol=1e-5)
    assert (ids[len(best) :] == b"").all() and np.isneginf(scores[len(best) :]).all()


def _numeric(tower, side: str, inputs: dict, defaults: dict) -> dict:
    raw = {name: _given(f"{side}_{name}", inputs, defaults) for name in tower.encoders if name != "history"}
    return tower.preprocess({name: tf.constant(value, _dtype(value)) for name, value in raw.items()})


def _given(name: str, inputs: dict, defaults: dict) -> np.ndarray:
    batch = max(len(value) for value in inputs.values())
    value = inputs.get(name, defaults.get(name))
    return np.repeat(value, batch, axis=0) if len(value) != batch else value


def _dtype(value: np.ndarray):
    return tf.float32 if value.dtype.kind == "f" else tf.string


def _as_bytes(ids) -> np.ndarray:
    return np.array([id if isinstance(id, bytes) else id.encode() for id in np.ravel(ids)], object)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
