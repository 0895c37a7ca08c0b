"""What a model that has learned other tasks beside its retrieval predicts, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmmrec.data.batches import gather
from tfmmrec.data.dataset import Dataset, Entities, Interactions
from tfmmrec.data.rating_biases import rating_biases, rating_moments
from tfmmrec.embedding import Embedder, Progress
from tfmmrec.runs import Run
from tfmmrec.types import UsageError

_BATCH = 4096


class RatingPredictor:
    """Expects ratings of pairs of a dataset's rows, by a run's model and the histories that train has.

    Args:
        run: a finished run of a model that has learned ratings.
        dataset: whose queries and candidates are asked about.
        embedder: of both; made when None.

    Raises:
        UsageError: the run's model has learned no ratings.
    """

    def __init__(self, run: Run, dataset: Dataset, embedder: Embedder | None = None):
        if getattr(run.model, "rating", None) is None:
            raise UsageError(
                f"{run.path}: this model has learned no ratings; train `multitask` on a log that declares "
                "`rating: COLUMN`"
            )
        embedder = run.embedder(dataset) if embedder is None else embedder
        self._model = run.model
        self._candidates = embedder.candidates()
        self._queries = embedder.queries(np.arange(len(dataset.queries)), self._candidates, dataset.train)
        # the dataset may be another one than the model was trained on
        self._query_places = _places(run.statistics.query_ids, dataset.queries)
        self._candidate_places = _places(run.statistics.candidate_ids, dataset.candidates)

    def __call__(self, query_rows: np.ndarray, candidate_rows: np.ndarray) -> np.ndarray:
        """Rows int `[n]` of both sides -> ratings, float32 `[n]`."""
        found = [np.zeros(0, np.float32)]
        for start in range(0, len(query_rows), _BATCH):
            queries, candidates = query_rows[start : start + _BATCH], candidate_rows[start : start + _BATCH]
            pairs = [self._queries[queries], self._candidates[candidates]]
            pairs += [self._query_places[queries], self._candidate_places[candidates]]
            found.append(self._model.predict_ratings(*map(tf.constant, pairs)).numpy())
        return np.concatenate(found)


def predict_ratings(
    run: Run, queries: Sequence[str], candidates: Sequence[str], dataset: Dataset | None = None
) -> np.ndarray:
    """The ratings that queries are expected to give to candidates.

    Args:
        run: a finished run of a model that has learned ratings.
        queries: ids, `[n]`.
        candidates: ids, `[n]`: pair by pair.
        dataset: where both and the queries' histories are; what the run was trained on when None.

    Returns:
        float32 `[n]`.

    Raises:
        UsageError: the model has learned no ratings, the lengths differ, or an id that the dataset does not have.
    """
    if len(queries) != len(candidates):
        raise UsageError(f"queries and candidates go pair by pair, got {len(queries)} and {len(candidates)} of them")
    dataset = run.load_dataset() if dataset is None else dataset
    rows = []
    for side, ids in (("queries", queries), ("candidates", candidates)):
        rows.append(getattr(dataset, side).row_of(ids))
        if (rows[-1] < 0).any():
            unknown = ids[int(np.flatnonzero(rows[-1] < 0)[0])]
            raise UsageError(f"{side}: the dataset has no {unknown!r}; take ids of its tables")
    return RatingPredictor(run, dataset)(*rows)


def evaluate_tasks(run: Run, dataset: Dataset, split: str, progress: Progress | None = None) -> dict[str, Any]:
    """Measures the tasks that a run's model has learned beside its retrieval.

    Args:
        run: a finished run.
        dataset: what to measure on.
        split: the part whose ratings are predicted.
        progress: told what has been done.

    Returns:
        Task -> its numbers, {} for a model of one task or where there is nothing to measure. `rating`: num_ratings and
        rmse, and beside it that of the mean (mean_rmse) and of the biases alone (biases_rmse). `category`: on the
        candidates that train does not have num_candidates and accuracy, and most_frequent, that of the category that
        most of train's candidates have. `tags`: on the same r_precision, the share of true ones among as many of the
        likeliest tags as the candidate has, and most_frequent, that of the most frequent tags.
    """
    part, model = getattr(dataset, split), run.model
    learns_ratings = getattr(model, "rating", None) is not None and "rating" in part.columns
    labels = getattr(model, "labels", {})
    if not learns_ratings and not labels:
        return {}
    embedder = run.embedder(dataset, progress)
    found = {}
    if learns_ratings and np.isfinite(part.columns["rating"]).any():
        found["rating"] = _ratings(RatingPredictor(run, dataset, embedder), dataset.train, part)
    for name in labels:
        if numbers := _labels(model, name, embedder, dataset.train.counts() > 0):
            found[name] = numbers
    return found


def _ratings(predict: RatingPredictor, train: Interactions, part: Interactions) -> dict[str, float]:
    is_rated = np.isfinite(part.columns["rating"])
    rows = part.query_rows()[is_rated], part.indices[is_rated]
    truth = part.columns["rating"][is_rated].astype(np.float64)
    biases = rating_biases(train, rating_moments(train)[0] or 0.0)
    found = {"rmse": predict(*rows), "mean_rmse": np.full(truth.size, biases.mean), "biases_rmse": biases(*rows)}
    rmse = {name: float(np.sqrt(np.mean((ratings - truth) ** 2))) for name, ratings in found.items()}
    return {"num_ratings": int(truth.size), **rmse}


def _labels(model, name: str, embedder: Embedder, is_known: np.ndarray) -> dict[str, float]:
    task, tables = model.labels[name], embedder.candidate_tables
    codes = task.codes({task.feature: {key: tf.constant(part) for key, part in tables[task.feature].items()}}).numpy()
    counted, logits = [], []
    for start in range(0, embedder.num_candidates, _BATCH):
        rows = np.arange(start, min(start + _BATCH, embedder.num_candidates))
        features = tf.nest.map_structure(tf.constant, gather(tables, rows))
        embedded = model.candidate_tower.encode(features, training=False)
        counted.append(task.counted(embedded, tf.constant(codes[rows])).numpy())
        logits.append(model.predict_labels(name, embedded).numpy())
    counted, logits = np.concatenate(counted), np.concatenate(logits)
    measured = np.flatnonzero(counted & ~is_known)
    if not measured.size:
        return {}
    seen = codes[is_known]
    frequency = np.bincount(seen[seen >= 0], minlength=task.num_labels).astype(np.float32)
    metric = "r_precision" if task.several else "accuracy"
    found = {metric: logits, "most_frequent": np.broadcast_to(frequency, logits.shape)}
    numbers = {
        key: float(np.mean([r_precision(scores[row], codes[row]) for row in measured])) for key, scores in found.items()
    }
    return {"num_candidates": int(measured.size), **numbers}


def r_precision(scores: np.ndarray, codes: np.ndarray) -> float:
    """The share of true labels among the highest-scoring ones, of which as many are taken as are true.

    With one true label it is the accuracy.

    Args:
        scores: `[num_labels]`.
        codes: int `[n]`, the true labels, at least one; negative for none.
    """
    truth = np.unique(codes[codes >= 0])
    best = np.argsort(-scores, kind="stable")[: truth.size]
    return float(np.isin(best, truth).mean())


def _places(ids: Sequence[str], entities: Entities) -> np.ndarray:
    """Where each row of a table stands among ids, int32 `[n]`, -1 for one that is not among them."""
    return Entities(pa.array(list(ids), entities.ids.type)).row_of(entities.ids)
