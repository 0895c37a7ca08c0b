"""Multitask: towers shared by retrieval, ratings, tags and categories (Kendall et al. 2018; Koren et al. 2009)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfmmrec.data.statistics import Statistics
from tfmmrec.losses.negatives import first_occurrences
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.label_choice import category_task, tags_task
from tfmmrec.models.label_task import LabelTask
from tfmmrec.models.loss_choice import choose_loss
from tfmmrec.models.rating_task import RatingTask
from tfmmrec.models.step_parts import Retrieval, StepCandidates
from tfmmrec.models.task_weights import TaskWeights
from tfmmrec.models.two_tower import TwoTower
from tfmmrec.models.two_tower_builder import build_two_tower
from tfmmrec.replicas import of_all_replicas
from tfmmrec.schema import Schema
from tfmmrec.types import UsageError


class Multitask(TwoTower):
    """L = L_retrieval + λ_1 L_rating + λ_2 L_tags + λ_3 L_category over shared towers.

    Ratings are predicted from the vectors that the retrieval compares, see `RatingTask`; tags and categories from the
    candidate tower's vector of some content alone, see `LabelTask`, over the candidates of the step that train has,
    each once. Each task's loss is a metric of its own: retrieval_loss, rating_loss and so on.

    What is exported is the retrieval; ratings and labels are predicted by `predict_ratings` and `predict_labels`.

    Args:
        query_tower: see `TwoTower`.
        candidate_tower: see `TwoTower`.
        rating: the task of the ratings; None for none.
        labels: tags, category or both, by name.
        weights: what each task counts, "retrieval" among them.
        **options: see `TwoTower`.

    Raises:
        UsageError: no task beside the retrieval, ratings under the multinomial loss, whose rows are queries, or labels
            of or from features that the candidate tower does not have.
    """

    def __init__(
        self,
        query_tower,
        candidate_tower,
        *,
        rating: RatingTask | None,
        labels: Mapping[str, LabelTask],
        weights: TaskWeights,
        **options,
    ):
        super().__init__(query_tower, candidate_tower, **options)
        if rating is None and not labels:
            raise UsageError("a multitask model needs a task beside the retrieval; without one it is a TwoTower")
        if rating is not None and self.loss_name == "multinomial":
            raise UsageError(
                "rows of the multinomial loss are queries, but a rating is of a query and a candidate: take "
                "full_softmax, sampled_softmax, bpr or hinge, or rating_weight=0"
            )
        for task in labels.values():
            lacking = [name for name in (task.feature, *task.sources) if name not in candidate_tower.encoders]
            if lacking:
                raise UsageError(f"{task.name}: the candidate tower has no feature {lacking[0]!r}")
        self.rating = rating
        self.labels = dict(labels)
        self.weights_of_tasks = weights
        names = ["retrieval", *(["rating"] if rating is not None else []), *labels]
        self.task_trackers = {name: tf.keras.metrics.Mean(name=f"{name}_loss") for name in names}

    @property
    def metrics(self):
        return [*super().metrics, *self.task_trackers.values()]

    def compute_loss(self, inputs: Mapping, training: bool = False) -> tf.Tensor:
        """A batch as for `TwoTower`, with `rating` and `query_rows` -> this replica's share of L, scalar."""
        candidates = self.step_candidates(inputs, training)
        # before the retrieval: of two calls of a tower in a step the last one's alignment losses count
        losses = {name: self._label_share(task, candidates, training) for name, task in self.labels.items()}
        done = self.retrieval(inputs, candidates, training)
        losses["retrieval"] = self.retrieval_share(inputs, done.losses)
        if self.rating is not None:
            losses["rating"] = self._rating_share(inputs, done)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        for name, tracker in self.task_trackers.items():
            tracker.update_state(losses[name] * replicas)
        return self.weights_of_tasks(losses)

    def _rating_share(self, inputs: Mapping, done: Retrieval) -> tf.Tensor:
        if "rating" not in inputs:
            raise UsageError("the batch has no `rating`, which this model learns: take the log's ratings into it")
        candidate_rows = tf.gather(inputs["candidate_rows"], inputs["positive"])
        ratings = inputs["rating"]
        losses = self.rating.losses([done.query, done.own], inputs["query_rows"], candidate_rows, ratings)
        is_rated = tf.cast(tf.math.is_finite(ratings), losses.dtype)
        weight = inputs.get("weight")
        return self.share_of_mean(losses, is_rated if weight is None else is_rated * tf.cast(weight, losses.dtype))

    def _label_share(self, task: LabelTask, candidates: StepCandidates, training: bool) -> tf.Tensor:
        codes = task.codes(candidates.features)
        sources = task.only(candidates.embedded)
        vectors = self.candidate_tower(sources, training=training, alignments_learn=False)  # [n, dim]
        counted = task.counted(candidates.embedded, codes) & self._each_once(candidates.rows)
        return self.share_of_mean(task.losses(task(vectors), codes), tf.cast(counted, tf.float32))

    def _each_once(self, rows: tf.Tensor | None) -> tf.Tensor:
        """Which of a step's candidates count, bool `[n]`: those in train, each once over all replicas."""
        if rows is None:
            return self._candidate_mask  # every replica has them all
        context = tf.distribute.get_replica_context()
        everywhere = of_all_replicas(rows)
        size = rows.shape[0] or tf.shape(rows)[0]
        first = context.replica_id_in_sync_group * size
        return (first_occurrences(everywhere) & (everywhere >= 0))[first : first + size]

    def predict_ratings(
        self, queries: tf.Tensor, candidates: tf.Tensor, query_rows: tf.Tensor, candidate_rows: tf.Tensor
    ) -> tf.Tensor:
        """Pairs of vectors, `[n, dim]` each, and their rows, int `[n]`, negative if unknown -> r̂, float32 `[n]`.

        Raises:
            UsageError: the model does not learn ratings.
        """
        if self.rating is None:
            raise UsageError("this model has learned no ratings: train it on a log with `rating: COLUMN`")
        return self.rating([queries, candidates], query_rows, candidate_rows)["rating"]

    def predict_labels(self, name: str, features: Mapping) -> tf.Tensor:
        """Preprocessed features of candidates -> logits of the labels of a task, float32 `[n, num_labels]`."""
        task = self.labels[name]
        return task(self.embed_candidates(task.only(self.candidate_tower.encode(features, training=False))))

    def build_towers(self) -> int:
        """Creates every weight of the towers and of the tasks; returns the size of the vectors."""
        dim = super().build_towers()
        nothing, row = tf.zeros([1, dim]), tf.zeros([1], tf.int32)
        if self.rating is not None:
            self.rating([nothing, nothing], row, row)
        for task in self.labels.values():
            task(nothing)
        return dim


@inherits_settings(build_two_tower, without=["content"])
def build_multitask(
    schema: Schema,
    statistics: Statistics,
    *,
    rating_weight: float = 1.0,
    tags_weight: float = 1.0,
    category_weight: float = 1.0,
    task_weighting: str = "fixed",
    tags: str | None = None,
    category: str | None = None,
    max_labels: int = 1000,
    rating_dim: int = 32,
    rating_regularization: float = 0.02,
    loss: str = "auto",
    **settings: Any,
) -> Multitask:
    """Builds a two-tower model that also learns ratings, tags and categories, of which a dataset has at least one.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        rating_weight: of the ratings, where the interactions have them; 0 leaves them out.
        tags_weight: of the tags, where candidates have a category with several values and a text, an image or a vector
            to predict it from; 0 leaves them out.
        category_weight: of the category, where candidates have one with a single value and an image or a vector to
            predict it from; 0 leaves it out.
        task_weighting: fixed, or uncertainty, where weights above 0 are learned, see `TaskWeights`.
        tags: the candidates' feature that is their tags; the first suitable one when None.
        category: the same of the category; may also be an identifier, if it is named.
        max_labels: at most so many of a feature's values, the most frequent ones, are predicted.
        rating_dim: size of z and w, see `RatingTask`.
        rating_regularization: of the biases, z and w.
        loss: of the retrieval, as in `build_two_tower`, but auto is full_softmax up to 20,000 candidates.
        **settings: as in `build_two_tower`.

    Raises:
        UsageError: nothing to learn beside the retrieval, a named feature that is not suitable or is left out, a number
            out of range, or what `build_two_tower` refuses.
    """
    for name, feature, weight in (("tags", tags, tags_weight), ("category", category, category_weight)):
        if feature is not None and not weight:
            raise UsageError(f"{name}={feature} is named, but {name}_weight=0 leaves it out; drop one of them")
    rating, labels = None, {}
    if rating_weight and schema.interactions.rating is not None and statistics.rating_mean is not None:
        rating = RatingTask(
            len(statistics.query_ids),
            statistics.num_candidates,
            statistics.rating_mean,
            statistics.rating_stddev,
            rating_dim,
            rating_regularization,
            statistics.query_rating_biases,
            statistics.candidate_rating_biases,
            name="rating",
        )
    if tags_weight and (task := tags_task(schema, statistics, tags, max_labels)) is not None:
        labels["tags"] = task
    if category_weight and (task := category_task(schema, statistics, category, max_labels)) is not None:
        labels["category"] = task
    if rating is None and not labels:
        raise UsageError(
            "multitask finds nothing to learn here beside the retrieval: declare `rating: COLUMN` of the interactions, "
            "or of the candidates a feature of kind category (with `separator` for several values) beside one of kind "
            "image, vector or, for several values, text; or take two_tower"
        )
    weights = {"rating": rating_weight, "tags": tags_weight, "category": category_weight}
    learned = {name: weights[name] for name in (*(["rating"] if rating is not None else []), *labels)}
    loss = choose_loss(loss, statistics.num_candidates, full="full_softmax")

    def make(query_tower, candidate_tower, **options) -> Multitask:
        tasks = TaskWeights({"retrieval": 1.0, **learned}, task_weighting, name="task_weights")
        return Multitask(query_tower, candidate_tower, rating=rating, labels=labels, weights=tasks, **options)

    return build_two_tower(schema, statistics, make, loss=loss, **settings)
