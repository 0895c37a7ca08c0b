"""What a model that has learned other tasks beside its retrieval predicts, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class PredictedRatings:
    """The ratings of a part, beside what is expected.

    Attributes:
        truth: float64 `[n]`, as given.
        expected: float `[n]`, by the model.
        by_biases: float `[n]`, by the biases alone.
        mean: of train's ratings.
    """

    truth: np.ndarray
    expected: np.ndarray
    by_biases: np.ndarray
    mean: float

    def metrics(self) -> dict[str, float]:
        """num_ratings and rmse, and beside it that of the mean (mean_rmse) and of the biases alone (biases_rmse)."""
        found = {"rmse": self.expected, "mean_rmse": self.mean, "biases_rmse": self.by_biases}
        rmse = {name: float(np.sqrt(np.mean((ratings - self.truth) ** 2))) for name, ratings in found.items()}
        return {"num_ratings": int(self.truth.size), **rmse}


@dataclass(frozen=True)
class PredictedLabels:
    """The labels of candidates that train does not have, beside what is predicted.

    Attributes:
        labels: their names, `[num_labels]`.
        several: whether a candidate may have more than one.
        rows: int `[n]`, of the dataset's candidates.
        codes: int `[n, num_values]`, the true labels of each, at least one; negative for none.
        logits: float32 `[n, num_labels]`.
        frequency: float32 `[num_labels]`, how many of train's candidates have each label.
    """

    labels: Sequence[str]
    several: bool
    rows: np.ndarray
    codes: np.ndarray
    logits: np.ndarray
    frequency: np.ndarray

    def metrics(self) -> dict[str, float]:
        """num_candidates; accuracy and most_frequent, that of the label that most of train's candidates have.

        With several labels it is r_precision, the share of true ones among as many of the likeliest labels as the
        candidate has, and most_frequent is that of the most frequent labels.
        """
        often = np.broadcast_to(self.frequency, self.logits.shape)
        numbers = {
            name: float(np.mean([r_precision(*pair) for pair in zip(scores, self.codes, strict=True)]))
            for name, scores in (("r_precision" if self.several else "accuracy", self.logits), ("most_frequent", often))
        }
        return {"num_candidates": int(self.rows.size), **numbers}

    def true_labels(self, place: int) -> np.ndarray:
        """The labels of candidate `rows[place]`, int `[num_true]`."""
        return np.unique(self.codes[place][self.codes[place] >= 0])

    def likeliest(self, place: int) -> np.ndarray:
        """As many of the likeliest labels of candidate `rows[place]` as it has, the likeliest first."""
        return _likeliest(self.logits[place], self.true_labels(place).size)


def predict_tasks(
    run: Run, dataset: Dataset, split: str, progress: Progress | None = None
) -> dict[str, PredictedRatings | PredictedLabels]:
    """What a run's model predicts beside its retrieval.

    Args:
        run: a finished run.
        dataset: what to predict of.
        split: the part whose ratings are predicted.
        progress: told what has been done.

    Returns:
        rating, tags and category, as far as the model has learned them and there is something to measure.
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
        predicted = _labels(run, name, embedder, dataset.train.counts() > 0)
        if predicted.rows.size:
            found[name] = predicted
    return found


def evaluate_tasks(
    run: Run, dataset: Dataset, split: str, progress: Progress | None = None
) -> dict[str, dict[str, float]]:
    """Measures what `predict_tasks`, which takes the same, predicts.

    Returns:
        Task -> its numbers, see `PredictedRatings.metrics` and `PredictedLabels.metrics`.
    """
    return {name: found.metrics() for name, found in predict_tasks(run, dataset, split, progress).items()}


def _ratings(predict: RatingPredictor, train: Interactions, part: Interactions) -> PredictedRatings:
    is_rated = np.isfinite(part.columns["rating"])
    rows = part.query_rows()[is_rated], part.indices[is_rated]
    biases = rating_biases(train, rating_moments(train)[0] or 0.0)
    truth = part.columns["rating"][is_rated].astype(np.float64)
    return PredictedRatings(truth, predict(*rows), biases(*rows), float(biases.mean))


def _labels(run: Run, name: str, embedder: Embedder, is_known: np.ndarray) -> PredictedLabels:
    model, tables = run.model, embedder.candidate_tables
    task = model.labels[name]
    codes = task.codes({task.feature: {key: tf.constant(part) for key, part in tables[task.feature].items()}}).numpy()
    measured, logits = [np.zeros(0, np.int64)], [np.zeros([0, task.num_labels], np.float32)]
    for start in range(0, embedder.num_candidates, _BATCH):
        rows = start + np.flatnonzero(~is_known[start : start + _BATCH])
        if not rows.size:
            continue
        features = tf.nest.map_structure(tf.constant, gather(tables, rows))
        embedded = model.candidate_tower.encode(features, training=False)
        counted = task.counted(embedded, tf.constant(codes[rows])).numpy()
        measured.append(rows[counted])
        logits.append(model.predict_labels(name, embedded).numpy()[counted])
    measured, seen = np.concatenate(measured), codes[is_known]
    return PredictedLabels(
        labels=run.statistics.candidates[task.feature].vocabulary[: task.num_labels],
        several=task.several,
        rows=measured,
        codes=codes[measured],
        logits=np.concatenate(logits),
        frequency=np.bincount(seen[seen >= 0], minlength=task.num_labels).astype(np.float32),
    )


def r_precision(scores: np.ndarray, codes: np.ndarray) -> float:
    """The share of true labels among the highest-scoring ones, of which as many are taken as are true.

    With one true label it is the accuracy.

    Args:
        scores: `[num_labels]`.
        codes: int `[n]`, the true labels, at least one; negative for none.
    """
    truth = np.unique(codes[codes >= 0])
    return float(np.isin(_likeliest(scores, truth.size), truth).mean())


def _likeliest(scores: np.ndarray, number: int) -> np.ndarray:
    return np.argsort(-scores, kind="stable")[:number]


def _places(ids: Sequence[str], entities: Entities) -> np.ndarray:
    """Where each row of a table stands among ids, int32 `[n]`, -1 for one that is not among them."""
    return Entities(pa.array(list(ids), entities.ids.type)).row_of(entities.ids)
