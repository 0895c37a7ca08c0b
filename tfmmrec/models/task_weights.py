"""How much each task of a model counts: by given weights, or by learned uncertainty (Kendall, Gal & Cipolla 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.types import UsageError

WEIGHTINGS: tuple[str, ...] = ("fixed", "uncertainty")


@tf.keras.utils.register_keras_serializable("tfmmrec")
class TaskWeights(tf.keras.layers.Layer):
    """L = Σ_t λ_t L_t, or with learned weights L = Σ_t (w_t L_t + log σ_t).

    Learned (Kendall et al. 2018, "Multi-Task Learning Using Uncertainty to Weigh Losses"): w = 1 / (2 σ²) for a squared
    error and 1 / σ² for a cross-entropy. What is trained is log σ², which starts at 0. At its best w_t L_t is 1/2, so
    that the weight of every task, the retrieval too, goes with the inverse of its loss.

    Args:
        weights: task -> λ; learned ones are in their place.
        weighting: fixed or uncertainty.
        squared: the tasks whose loss is a squared error.

    Raises:
        UsageError: an unknown weighting, a negative weight, or a name that is no task.
    """

    def __init__(
        self, weights: Mapping[str, float], weighting: str = "fixed", squared: Sequence[str] = ("rating",), **kwargs
    ):
        super().__init__(**({"dtype": "float32"} | kwargs))
        if weighting not in WEIGHTINGS:
            raise UsageError(f"task_weighting must be one of {', '.join(WEIGHTINGS)}, got {weighting!r}")
        for name, weight in weights.items():
            if not weight >= 0.0:
                raise UsageError(f"{name}_weight must be 0 or more, got {weight}")
        self.task_weights = dict(weights)
        self.weighting = weighting
        self.squared = tuple(squared)
        self.log_variances = None
        if weighting == "uncertainty":
            self.log_variances = self.add_weight(name="log_variances", shape=[len(weights)], initializer="zeros")

    def call(self, losses: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Task -> this replica's share of its loss, scalar -> this replica's share of L, float32 scalar."""
        if self.log_variances is None:
            return tf.add_n([weight * losses[name] for name, weight in self.task_weights.items()])
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        terms = []
        for name, log_variance in zip(self.task_weights, tf.unstack(self.log_variances), strict=True):
            factor = 0.5 if name in self.squared else 1.0
            terms.append(factor * tf.exp(-log_variance) * losses[name] + 0.5 * log_variance / replicas)
        return tf.add_n(terms)

    def get_config(self):
        return super().get_config() | {
            "weights": self.task_weights,
            "weighting": self.weighting,
            "squared": list(self.squared),
        }
