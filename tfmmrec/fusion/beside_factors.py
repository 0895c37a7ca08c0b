"""A candidate's fixed factors behind its trained vector, and their prediction from its content."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors, of_length
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class BesideFactors(tf.keras.layers.Layer):
    """e = [inner(x_1; …; x_M) ; f] when it is used, and the inner fusion alone in training.

    f are the factors of a `FactorIdentifier`, or, where the id has none, [t ; x̄ ; 1] R: a ridge regression of the known
    ids' factors on content. t are the terms of the modalities that have some (words by their weight, values of a
    category, a number by the edges beside it), x̄ the vectors of the others, of unit length each and zero where absent.
    R is fitted in closed form by `fit_content`; where every other modality has terms or is not trained, once is enough.

    Args:
        inner: the fusion that is trained.
        rank: size of the factors.
        direct: the modality that brings `factors` and `known`.
        num_terms: modality -> how many terms it has, for those whose terms are read and not their vector.

    Raises:
        UsageError: rank below 1, or, when called, no such modality.
    """

    def __init__(
        self,
        inner: tf.keras.layers.Layer,
        rank: int,
        direct: str = "id",
        num_terms: Mapping[str, int] | None = None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # the factors stay in full precision until they are joined
        if rank < 1:
            raise UsageError(f"rank must be at least 1, got {rank}")
        self.inner = inner
        self.rank = rank
        self.direct = direct
        self.num_terms = dict(sorted((num_terms or {}).items()))

    @property
    def reads_terms(self) -> bool:
        """See `Tower.reads_terms`."""
        return bool(self.num_terms)

    def build(self, input_shape):
        dense = [shape["vector"][-1] for name, shape in input_shape.items() if name in self._dense(input_shape)]
        self.content_map = self.add_weight(
            name="content_map",
            shape=[sum(self.num_terms.values()) + sum(dense) + 1, self.rank],
            initializer="zeros",
            dtype="float32",
            trainable=False,
            experimental_autocast=False,
        )
        super().build(input_shape)

    def _dense(self, embedded: Mapping) -> list[str]:
        return [name for name in sorted(embedded) if name != self.direct and name not in self.num_terms]

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities -> `[batch, inner dim + rank]`, in training `[batch, inner dim]`."""
        if "factors" not in embedded.get(self.direct, {}):
            raise UsageError(f"BesideFactors expects {self.direct} with factors, of a FactorIdentifier")
        trained = self.inner(embedded, training=training)
        if training:
            return trained
        own = embedded[self.direct]
        content = self.content(embedded)
        with tf.device("/CPU:0"):  # a GPU's product is not the same to the last digit in every run
            predicted = tf.sparse.sparse_dense_matmul(content, self.content_map)  # [batch, rank]
        factors = tf.where(own["known"][:, None], own["factors"], predicted)
        return tf.concat([trained, tf.cast(factors, trained.dtype)], axis=1)

    def content(self, embedded: Mapping[str, Embedded]) -> tf.SparseTensor:
        """[t ; x̄ ; 1], float32 `[batch, content size]`; a column may stand in a row several times: they add up."""
        columns, values, start = [], [], 0
        for name, size in self.num_terms.items():
            if "terms" not in embedded.get(name, {}):
                raise UsageError(f"BesideFactors expects {name} with terms: of a table, see `Tower.reads_terms`")
            columns.append(start + embedded[name]["terms"])
            values.append(embedded[name]["term_weights"])
            start += size
        dense = {name: embedded[name] for name in self._dense(embedded)}
        ones = tf.ones_like(embedded[self.direct]["factors"][:, :1])
        vectors = masked_vectors(dense, "float32") if dense else []
        whole = tf.concat([*(of_length(vector, 1.0) for vector in vectors), ones], axis=1)  # [batch, size of x̄ and 1]
        columns.append(tf.broadcast_to(start + tf.range(whole.shape[1]), tf.shape(whole)))
        columns, values = tf.concat(columns, axis=1), tf.concat([*values, whole], axis=1)  # [batch, n]
        rows = tf.broadcast_to(tf.range(tf.shape(columns)[0])[:, None], tf.shape(columns))
        places = tf.reshape(tf.stack([rows, columns], axis=2), [-1, 2])
        shape = tf.stack([tf.shape(columns)[0], start + whole.shape[1]])
        return tf.SparseTensor(tf.cast(places, tf.int64), tf.reshape(values, [-1]), tf.cast(shape, tf.int64))

    def fit_content(self, content: sp.csr_matrix, factors: np.ndarray, l2: float) -> None:
        """R = (XᵀX + λI)⁻¹ XᵀF over known candidates, or Xᵀ (XXᵀ + λI)⁻¹ F, which is the same, where that is smaller.

        Args:
            content: X, of `content`, `[num_known, content size]`.
            factors: F, `[num_known, rank]`.
            l2: λ, positive.
        """
        content, factors = content.astype(np.float64), np.asarray(factors, np.float64)
        primal = content.shape[1] <= content.shape[0]
        system = (content.T @ content if primal else content @ content.T).toarray()
        system[np.diag_indices(len(system))] += l2
        right = content.T @ factors if primal else factors
        found = scipy.linalg.solve(system, right, assume_a="pos", overwrite_a=True)
        self.content_map.assign((found if primal else content.T @ found).astype(np.float32))

    def get_config(self):
        inner = tf.keras.utils.serialize_keras_object(self.inner)
        own = {"inner": inner, "rank": self.rank, "direct": self.direct, "num_terms": dict(self.num_terms)}
        return super().get_config() | own

    @classmethod
    def from_config(cls, config):
        return cls(**(config | {"inner": tf.keras.utils.deserialize_keras_object(config["inner"])}))
