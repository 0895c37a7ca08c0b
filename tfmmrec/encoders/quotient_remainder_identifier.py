"""Ids by quotient and remainder of their numbers, each of which has a small table."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfmmrec.encoders.composed_identifier import ComposedIdentifier
from tfmmrec.types import UsageError

OPERATIONS: tuple[str, ...] = ("multiply", "add", "concat")


@tf.keras.utils.register_keras_serializable("tfmmrec")
class QuotientRemainderIdentifier(ComposedIdentifier):
    """Compositional embeddings of complementary partitions (Shi et al. 2020): v(id) = R[row mod m] ∘ Q[row div m].

    `row` is the id's place in the vocabulary, m is `num_buckets`. No two ids have both rows in common, so each has a
    vector of its own, of m + ⌈n/m⌉ rows for n ids.

    Args:
        vocabulary: the known ids.
        dim: size of the embedding.
        num_buckets: rows of R, at most as many as there are ids.
        operation: ∘, of multiply, add and concat; R has half of the numbers under concat, Q the other half.
        dropout: share of the ids that are made absent in a training step, in [0, 1).
        embeddings_stddev: standard deviation of the initial vectors; 0.1/sqrt(dim) when None.

    Raises:
        UsageError: a number out of range, an unknown operation, or a concatenation of less than two numbers.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        dim: int,
        num_buckets: int,
        operation: str = "multiply",
        dropout: float = 0.0,
        embeddings_stddev: float | None = None,
        **kwargs,
    ):
        super().__init__(vocabulary, dim, num_buckets, dropout, embeddings_stddev, **kwargs)
        if operation not in OPERATIONS:
            raise UsageError(f"operation must be one of {', '.join(OPERATIONS)}, got {operation!r}")
        if operation == "concat" and dim < 2:
            raise UsageError(f"operation=concat takes a dim of at least 2, got {dim}")
        size = max(len(self._ids), 1)
        if num_buckets > size:
            raise UsageError(
                f"num_buckets={num_buckets} (of a model: identifier_buckets, query_identifier_buckets) is more than "
                f"the {size} ids that are to share them: take fewer, or a table of all ids (identifier=table)"
            )
        self.operation = operation
        stddev, quotients = self._stddev, -(-size // num_buckets)
        # so that the vectors have that deviation: of a product's factors one has 1, of two summands each its share
        dims = (dim - dim // 2, dim // 2) if operation == "concat" else (dim, dim)
        stddevs = {"multiply": (stddev, 1.0), "add": (stddev * 0.5**0.5,) * 2, "concat": (stddev, stddev)}[operation]
        self.remainders = self._table("remainders", [num_buckets, dims[0]], stddevs[0])
        self.quotients = self._table("quotients", [quotients, dims[1]], stddevs[1])

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ids, string `[batch]` -> `row`, int32 `[batch]`, -1 where unknown, and `known`, bool `[batch]`."""
        rows = self.lookup(raw)
        return {"row": rows, "known": rows >= 0}

    def compose(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        rows = tf.maximum(inputs["row"], 0)
        remainder = tf.nn.embedding_lookup(self.remainders, rows % self.num_buckets)
        quotient = tf.nn.embedding_lookup(self.quotients, rows // self.num_buckets)
        if self.operation == "concat":
            return tf.concat([remainder, quotient], axis=1)
        return remainder * quotient if self.operation == "multiply" else remainder + quotient

    def get_config(self):
        return super().get_config() | {"operation": self.operation}
