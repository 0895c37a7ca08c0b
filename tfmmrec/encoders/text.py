"""Words, learned from the catalogue itself: no download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.vocabulary import VocabularyLookup
from tfmmrec.sharded_tables import rows_of
from tfmmrec.types import Embedded, UsageError

_NOT_A_WORD = r"[^\p{L}\p{N}]+"


def split_words(text: tf.Tensor) -> tf.RaggedTensor:
    """Lower-cased runs of letters and digits: string `[batch]` -> ragged string `[batch, words]`."""
    lowered = tf.strings.lower(text, encoding="utf-8")
    return tf.strings.split(tf.strings.strip(tf.strings.regex_replace(lowered, _NOT_A_WORD, " ")))


@tf.keras.utils.register_keras_serializable("tfmmrec")
class TextEncoder(Encoder):
    """A weighted bag of words: vector = Σ_w idf_w E_w / ‖idf‖ over the row's words.

    The weights are the inverse document frequencies (Spärck Jones 1972) and are not trained; the word embeddings are,
    or are made once from the catalogue's own texts (`latent_semantics`).

    Args:
        vocabulary: the known words, as `split_words` makes them.
        idf: one weight for each word; all 1 when None.
        dim: size of the embedding.
        max_words: how many words of a text are read.
        mode: `cached` (words get their latent semantics once, before the towers are trained, and every text is then
            encoded once) or `finetuned` (trained in every step with the rest, from there on).
        embeddings: initial word embeddings `[len(vocabulary), dim]`; random when None. Not part of the config: a
            restored model reads them from its weights.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        dim: int,
        idf: Sequence[float] | None = None,
        max_words: int = 64,
        mode: Literal["cached", "finetuned"] = "finetuned",
        embeddings: np.ndarray | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if idf is not None and len(idf) != len(vocabulary):
            raise UsageError(f"idf needs one weight for each of the {len(vocabulary)} words, got {len(idf)}")
        if max_words < 1:
            raise UsageError(f"max_words must be at least 1, got {max_words}")
        if mode not in ("cached", "finetuned"):
            raise UsageError(f"mode (text_mode) must be cached or finetuned for the small text encoder, got {mode!r}")
        self.mode = mode
        self.vocabulary = list(vocabulary)
        self.dim = dim
        self.idf = None if idf is None else [float(weight) for weight in idf]
        self.max_words = max_words
        self.lookup = VocabularyLookup(self.vocabulary, name=f"{self.name}_vocabulary")
        self.num_terms = size = max(len(self.vocabulary), 1)
        weights = np.ones(size, np.float32) if not self.idf else np.asarray(self.idf, np.float32)
        self.word_weights = self.add_weight(
            name="idf",
            shape=[size],
            trainable=False,
            initializer=tf.constant_initializer(weights),
            experimental_autocast=False,
        )
        if embeddings is None:
            initializer = tf.keras.initializers.RandomNormal(stddev=dim**-0.5)
        elif embeddings.shape == (size, dim):
            initializer = tf.constant_initializer(embeddings)
        else:
            raise UsageError(f"embeddings must be [{size}, {dim}], got {list(embeddings.shape)}")
        self.embeddings = self.add_weight(name="embeddings", shape=[size, dim], initializer=initializer)

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.string)

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Texts, string `[batch]` -> `words`, int32 `[batch, max_words]`, -1 where there is none or it is unknown."""
        words = split_words(raw).to_tensor("", shape=[None, self.max_words])
        return {"words": self.lookup(words)}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        words = inputs["words"]  # [batch, max_words]
        mask = words >= 0
        rows = tf.maximum(words, 0)
        weights = tf.gather(self.word_weights, rows) * tf.cast(mask, tf.float32)
        norm = tf.sqrt(tf.reduce_sum(tf.square(weights), axis=1, keepdims=True))
        weights = weights / tf.maximum(norm, 1e-6)
        sequence = tf.cast(rows_of(self.embeddings, rows), self.compute_dtype)  # [batch, max_words, dim]
        vector = tf.linalg.matvec(sequence, tf.cast(weights, self.compute_dtype), transpose_a=True)  # [batch, dim]
        return {
            "vector": vector,
            "present": tf.reduce_any(mask, axis=1),
            "sequence": sequence,
            "sequence_mask": mask,
            "terms": rows,
            "term_weights": weights,
        }

    def get_config(self):
        return super().get_config() | {
            "vocabulary": self.vocabulary,
            "dim": self.dim,
            "idf": self.idf,
            "max_words": self.max_words,
            "mode": self.mode,
        }
