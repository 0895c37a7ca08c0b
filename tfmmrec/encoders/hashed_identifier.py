"""Ids by hash functions into a table that they share."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfmmrec.encoders.composed_identifier import SHORTER, ComposedIdentifier
from tfmmrec.types import UsageError

_KEY = 0x746D6D726563  # the second half of each hash function's key; models that were saved rely on it


@tf.keras.utils.register_keras_serializable("tfmmrec")
class HashedIdentifier(ComposedIdentifier):
    """Hash embeddings (Svenstrup, Hansen & Winther 2017): v(id) = Σ_i p_i(id) E[h_i(id)].

    The h_i are keyed SipHash, the same in every process and on every machine. With a vocabulary each id has weights p_i
    of its own, `num_hashes` numbers in the place of `dim`, so that ids of the same rows can still differ; they begin
    small, as in the paper. Without one (or with `weighted=False`) all p_i are 1/sqrt(num_hashes), which is the hashing
    trick (Weinberger et al. 2009): any id has a vector, never seen ones too, and theirs is made of what other ids have
    learned.

    Args:
        vocabulary: the known ids; None for an encoder that needs no list of them, to which every id is known.
        dim: size of the embedding.
        num_buckets: rows of E.
        num_hashes: how many rows an id's vector is summed of.
        weighted: ids have weights; None: where there is a vocabulary.
        dropout: share of the ids that are made absent in a training step, in [0, 1).
        embeddings_stddev: standard deviation of the initial vectors; 0.1/sqrt(dim) when None.

    Raises:
        UsageError: a number out of range, or weights without a vocabulary.
    """

    def __init__(
        self,
        vocabulary: Sequence[str] | None,
        dim: int,
        num_buckets: int,
        num_hashes: int = 2,
        weighted: bool | None = None,
        dropout: float = 0.0,
        embeddings_stddev: float | None = None,
        **kwargs,
    ):
        super().__init__(vocabulary, dim, num_buckets, dropout, embeddings_stddev, **kwargs)
        if num_hashes < 1:
            raise UsageError(f"num_hashes must be at least 1, got {num_hashes}")
        if weighted and vocabulary is None:
            raise UsageError("weights of ids need a vocabulary: give one, or take weighted=False")
        self.num_hashes = num_hashes
        self.weighted = vocabulary is not None if weighted is None else weighted
        self.importance, shorter = None, SHORTER if self.weighted else 1.0
        self.embeddings = self._table("embeddings", [num_buckets, dim], self._stddev / shorter)
        if self.weighted:
            self.importance = self.add_weight(
                "importance",
                [max(len(self._ids), 1), num_hashes],
                initializer=tf.keras.initializers.Constant(shorter * num_hashes**-0.5),
            )

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ids, string `[batch]` -> `buckets`, int32 `[batch, num_hashes]`, `known`, bool `[batch]`, and, where ids have
        weights, `row`, int32 `[batch]`, -1 where unknown.
        """
        hashes = [tf.strings.to_hash_bucket_strong(raw, self.num_buckets, [i, _KEY]) for i in range(self.num_hashes)]
        buckets = tf.cast(tf.stack(hashes, axis=1), tf.int32)
        if self.lookup is None:
            return {"buckets": buckets, "known": tf.strings.length(raw) > 0}
        rows = self.lookup(raw)
        return {"buckets": buckets, "known": rows >= 0} | ({"row": rows} if self.weighted else {})

    def compose(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        vectors = tf.nn.embedding_lookup(self.embeddings, inputs["buckets"])  # [batch, num_hashes, dim]
        if self.importance is None:
            return tf.reduce_sum(vectors, axis=1) * self.num_hashes**-0.5
        weights = tf.nn.embedding_lookup(self.importance, tf.maximum(inputs["row"], 0))  # [batch, num_hashes]
        return tf.reduce_sum(vectors * weights[:, :, None], axis=1)

    def get_config(self):
        return super().get_config() | {"num_hashes": self.num_hashes, "weighted": self.weighted}
