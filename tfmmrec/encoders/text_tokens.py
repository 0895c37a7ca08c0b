"""Texts as numbers of tokens, for a model that reads the texts of both sides together.

A token's number is an integer from 1 on, 0 is padding. They travel as float32, as everything else that a tower gives:
exact up to 2²⁴, which no vocabulary reaches and no Unicode code point.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.text import split_words
from tfmmrec.encoders.vocabulary import VocabularyLookup
from tfmmrec.sharded_tables import rows_of
from tfmmrec.types import Embedded, UsageError

_END = ". "  # of a character text: what follows is another one


@tf.keras.utils.register_keras_serializable("tfmmrec")
class WordTable(tf.keras.layers.Layer):
    """Words and their embeddings, one table for all texts of both sides.

    Args:
        vocabulary: the known words, as `split_words` makes them.
        dim: size of the embeddings, which start as random vectors of about unit length.
        idf: one weight for each word, for `latent_semantics`; all 1 when None.

    Raises:
        UsageError: a size below 1, or not as many weights as words.
    """

    def __init__(self, vocabulary: Sequence[str], dim: int, idf: Sequence[float] | None = None, **kwargs):
        super().__init__(**{"autocast": False} | kwargs)  # tokens are numbers that half precision has not
        if dim < 1:
            raise UsageError(f"dim of words must be at least 1, got {dim}")
        if idf is not None and len(idf) != len(vocabulary):
            raise UsageError(f"idf needs one weight for each of the {len(vocabulary)} words, got {len(idf)}")
        self.vocabulary = list(vocabulary)
        self.dim = dim
        self.idf = [1.0] * len(self.vocabulary) if idf is None else [float(weight) for weight in idf]
        self.lookup = VocabularyLookup(self.vocabulary, name=f"{self.name}_vocabulary")
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=[max(len(self.vocabulary), 1), dim],
            initializer=tf.keras.initializers.RandomNormal(stddev=dim**-0.5),
        )

    def begin_with(self, vectors: np.ndarray) -> None:
        """Takes the directions of `vectors` `[len(vocabulary), dim]` for embeddings, where those are not zero."""
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        embeddings = self.embeddings.numpy()
        known = lengths[:, 0] > 0
        embeddings[: len(vectors)][known] = vectors[known] / lengths[known]
        self.embeddings.assign(embeddings)

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """Tokens `[batch, n]` -> their embeddings `[batch, n, dim]`; those of padding mean nothing."""
        rows = tf.maximum(tf.cast(tokens, tf.int32) - 1, 0)
        return tf.cast(rows_of(self.embeddings, rows), self.compute_dtype)

    def get_config(self):
        return super().get_config() | {"vocabulary": self.vocabulary, "dim": self.dim, "idf": self.idf}


class _Tokens(Encoder):
    """What both kinds share: the tokens are the vector."""

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.string)

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        tokens = inputs["tokens"]  # [batch, num_tokens]
        return {"vector": tf.cast(tokens, tf.float32), "present": tf.reduce_any(tokens > 0, axis=1)}


@tf.keras.utils.register_keras_serializable("tfmmrec")
class WordTokens(_Tokens):
    """A text's words: 1 + their places in a table's vocabulary.

    Args:
        table: the words; several texts share one.
        max_words: how many words of a text are read.

    Raises:
        UsageError: a number below 1.
    """

    def __init__(self, table: WordTable, max_words: int = 32, **kwargs):
        super().__init__(**kwargs)
        if max_words < 1:
            raise UsageError(f"max_words must be at least 1, got {max_words}")
        self.table = table
        self.max_words = max_words

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Texts, string `[batch]` -> `tokens`, int32 `[batch, max_words]`, 0 where there is none or it is unknown."""
        words = split_words(raw).to_tensor("", shape=[None, self.max_words])
        return {"tokens": self.table.lookup(words) + 1}

    def get_config(self):
        return super().get_config() | {
            "table": tf.keras.layers.serialize(self.table),
            "max_words": self.max_words,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"table": tf.keras.layers.deserialize(config["table"])})


@tf.keras.utils.register_keras_serializable("tfmmrec")
class CharacterTokens(_Tokens):
    """A text's characters as Unicode code points, of which `joined_texts` makes a string again.

    A text that is there ends with a full stop and a space, so that it can be joined to another.

    Args:
        max_characters: how many characters of a text are read, blanks around it aside.

    Raises:
        UsageError: a number below 1.
    """

    def __init__(self, max_characters: int = 128, **kwargs):
        super().__init__(**kwargs)
        if max_characters < 1:
            raise UsageError(f"max_characters must be at least 1, got {max_characters}")
        self.max_characters = max_characters

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Texts, string `[batch]` -> `tokens`, int32 `[batch, max_characters + 2]`, 0 behind the end."""
        texts = tf.strings.substr(tf.strings.strip(_valid(raw)), 0, self.max_characters, unit="UTF8_CHAR")
        texts = tf.where(tf.strings.length(texts) > 0, tf.strings.join([texts, _END]), texts)
        return {"tokens": code_points(texts).to_tensor(0, shape=[None, self.max_characters + len(_END)])}

    def get_config(self):
        return super().get_config() | {"max_characters": self.max_characters}


def _valid(texts: tf.Tensor) -> tf.Tensor:
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")


def code_points(texts: tf.Tensor) -> tf.RaggedTensor:
    """Strings `[batch]` -> their Unicode code points, ragged int32 `[batch, characters]`."""
    return tf.strings.unicode_decode(texts, "UTF-8")


def joined_texts(tokens: tf.Tensor) -> tf.Tensor:
    """Code points `[batch, n]` with zeros anywhere between them -> strings `[batch]`."""
    codes = tf.cast(tokens, tf.int32)
    return tf.strings.unicode_encode(tf.ragged.boolean_mask(codes, codes > 0), "UTF-8")
