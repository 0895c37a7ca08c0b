"""Categories: one value of a list, or several."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.vocabulary import VocabularyLookup
from tfmmrec.sharded_tables import rows_of
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class CategoryEncoder(Encoder):
    """Mean of the embeddings of a row's known values.

    Args:
        vocabulary: the known values.
        dim: size of the embedding.
        separator: the raw value is one string with several values between separators.
        max_values: how many values of a row are kept.
        is_list: the raw value is a string `[batch, max_values]`, padded with "".
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        dim: int,
        separator: str | None = None,
        max_values: int = 16,
        is_list: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if separator is not None and is_list:
            raise UsageError("a category is a list or a string with a separator, not both; leave one out")
        self.vocabulary = list(vocabulary)
        self.dim = dim
        self.separator = separator
        self.max_values = max_values
        self.is_list = is_list
        self.lookup = VocabularyLookup(self.vocabulary, name=f"{self.name}_vocabulary")
        self.num_terms = max(len(self.vocabulary), 1)
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=[self.num_terms, dim],
            initializer=tf.keras.initializers.RandomNormal(stddev=dim**-0.5),
        )

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, self.max_values] if self.is_list else [None], tf.string)

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Values -> `codes`, int32 `[batch, max_values]`, -1 where there is none or it is unknown."""
        if self.is_list:
            values = raw
        elif self.separator is None:
            values = tf.expand_dims(raw, 1)
        else:
            values = tf.strings.split(raw, self.separator).to_tensor("", shape=[None, self.max_values])
        return {"codes": self.lookup(tf.strings.strip(values))}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        codes = inputs["codes"]  # [batch, values]
        known, rows = codes >= 0, tf.maximum(codes, 0)
        mask = tf.cast(known, self.compute_dtype)
        sequence = tf.cast(rows_of(self.embeddings, rows), self.compute_dtype)
        count = tf.reduce_sum(mask, axis=1, keepdims=True)
        vector = tf.reduce_sum(sequence * mask[..., None], axis=1) / tf.maximum(count, 1.0)
        return {
            "vector": vector,
            "present": count[:, 0] > 0,
            "terms": rows,
            "term_weights": tf.cast(known, tf.float32),
        }

    def get_config(self):
        return super().get_config() | {
            "vocabulary": self.vocabulary,
            "dim": self.dim,
            "separator": self.separator,
            "max_values": self.max_values,
            "is_list": self.is_list,
        }
