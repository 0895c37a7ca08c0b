"""Ratings as a task beside retrieval (Koren, Bell & Volinsky 2009)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.types import UsageError

_STDDEV = 0.01  # of the initial projections: at first a rating is its biases


@tf.keras.utils.register_keras_serializable("tfmmrec")
class RatingTask(tf.keras.layers.Layer):
    """r̂ = μ + b_u + b_i + ⟨z_u, w_i⟩ (Koren et al. 2009, "Matrix Factorization Techniques"), of towers.

    z_u and w_i are linear in the vectors that the towers give for a retrieval. b_u and b_i have a place of their own
    for each query and candidate, since a history does not say how strictly somebody rates. What is learned is in units
    of the ratings' standard deviation, r̂ = μ + σ (b_u + b_i + ⟨z_u, w_i⟩), so that the loss is a share of their
    variance, on any scale: ((r − r̂) / σ)² + λ (b_u² + b_i² + ‖z_u‖² + ‖w_i‖²), the paper's.

    Args:
        num_queries: how many have a b_u.
        num_candidates: how many have a b_i.
        mean: μ, of train's ratings.
        stddev: σ, of train's ratings.
        dim: size of z and w.
        regularization: λ.
        query_biases: `[num_queries]`, where σ b_u begins, such as what biases alone come to (`rating_biases`); 0 when
            left out. Not part of the config: a restored model reads them from its weights.
        candidate_biases: `[num_candidates]`, the same of σ b_i.

    Raises:
        UsageError: numbers out of range.
    """

    def __init__(
        self,
        num_queries: int,
        num_candidates: int,
        mean: float = 0.0,
        stddev: float = 1.0,
        dim: int = 32,
        regularization: float = 0.0,
        query_biases: Sequence[float] = (),
        candidate_biases: Sequence[float] = (),
        **kwargs,
    ):
        super().__init__(**({"dtype": "float32"} | kwargs))  # half precision has too few digits for errors and biases
        if dim < 1:
            raise UsageError(f"rating_dim must be at least 1, got {dim}")
        if not stddev > 0.0:
            raise UsageError(f"the ratings' standard deviation must be positive, got {stddev}")
        if not regularization >= 0.0:
            raise UsageError(f"rating_regularization must be 0 or more, got {regularization}")
        self.num_queries = num_queries
        self.num_candidates = num_candidates
        self.mean = mean
        self.stddev = stddev
        self.dim = dim
        self.regularization = regularization
        # named as biases: a weight decay passes over them
        self.query_bias, self.candidate_bias = (
            self.add_weight(name, [max(size, 1)], initializer=tf.constant_initializer(np.divide(first, stddev)))
            for name, size, first in (
                ("query_bias", num_queries, query_biases or 0.0),
                ("candidate_bias", num_candidates, candidate_biases or 0.0),
            )
        )
        self.of_query, self.of_candidate = (
            tf.keras.layers.Dense(
                dim,
                use_bias=False,
                kernel_initializer=tf.keras.initializers.RandomNormal(stddev=_STDDEV),
                dtype=self.dtype_policy,
                name=name,
            )
            for name in ("of_query", "of_candidate")
        )

    def call(self, vectors: Sequence[tf.Tensor], query_rows: tf.Tensor, candidate_rows: tf.Tensor) -> dict:
        """Pairs of a query and a candidate, row by row.

        Args:
            vectors: `[batch, query_dim]` and `[batch, candidate_dim]`, of the towers.
            query_rows: int `[batch]`, each query's place; negative for one that has no b_u.
            candidate_rows: int `[batch]`, the same of candidates.

        Returns:
            `rating` float32 `[batch]`, r̂, and `penalty` float32 `[batch]`, what λ multiplies.
        """
        query, candidate = vectors
        z, w = self.of_query(query), self.of_candidate(candidate)  # [batch, dim]
        of_query = _at(self.query_bias, query_rows)
        of_candidate = _at(self.candidate_bias, candidate_rows)
        penalty = of_query**2 + of_candidate**2 + tf.reduce_sum(z**2, axis=1) + tf.reduce_sum(w**2, axis=1)
        deviation = of_query + of_candidate + tf.reduce_sum(z * w, axis=1)
        return {"rating": self.mean + self.stddev * deviation, "penalty": penalty}

    def losses(self, vectors: Sequence[tf.Tensor], query_rows, candidate_rows, ratings: tf.Tensor) -> tf.Tensor:
        """The loss of each row, float32 `[batch]`, 0 where `ratings`, float32 `[batch]`, is NaN."""
        found = self(vectors, query_rows, candidate_rows)
        is_rated = tf.math.is_finite(ratings)
        error = (tf.where(is_rated, ratings, found["rating"]) - found["rating"]) / self.stddev
        return tf.where(is_rated, error**2 + self.regularization * found["penalty"], 0.0)

    def get_config(self):
        return super().get_config() | {
            "num_queries": self.num_queries,
            "num_candidates": self.num_candidates,
            "mean": self.mean,
            "stddev": self.stddev,
            "dim": self.dim,
            "regularization": self.regularization,
        }


def _at(biases: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """The biases of some rows, `[batch]`; 0 for a negative row."""
    return tf.gather(biases, tf.maximum(rows, 0)) * tf.cast(rows >= 0, biases.dtype)
