"""A small text encoder that begins untrained, over the words of a catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.data.statistics import words_of
from tfmmrec.encoders.sequence_history import TransformerBlock
from tfmmrec.encoders.text import split_words
from tfmmrec.encoders.vocabulary import VocabularyLookup
from tfmmrec.pretrained.halves import Halves
from tfmmrec.pretrained.text_input import pool_tokens

PADDING, UNKNOWN, MASK = range(3)
_SPECIAL = 3
_LONGEST = 128
_START = 0.02  # deviation of embeddings (Devlin et al. 2019)


def words_of_texts(texts: Sequence[str | None], least: int = 2, most: int = 20_000) -> tuple[list[str], int]:
    """The words of texts and how many of them to read.

    Args:
        texts: of a catalogue, None where there is none.
        least: words of fewer texts are left out.
        most: at most so many, the most frequent.

    Returns:
        The words, the most frequent first and else by the alphabet; and how many the text of the 95th percentile has,
        128 at most.
    """
    counts: Counter[str] = Counter()
    lengths = []
    for text in texts:
        if found := words_of(text or ""):
            counts.update(set(found))
            lengths.append(len(found))
    known = sorted((-count, word) for word, count in counts.items() if count >= least)  # a set has no order
    words = [word for _, word in known[:most]]
    return words, min(int(np.ceil(np.quantile(lengths, 0.95))), _LONGEST) if lengths else 1


def small_text_halves(
    vocabulary: Sequence[str],
    max_length: int,
    dim: int = 128,
    num_layers: int = 2,
    num_heads: int = 4,
    seed: int = 0,
) -> Halves:
    """Word and place embeddings, then Transformer blocks (Vaswani et al. 2017), pooled by their mean.

    Args:
        vocabulary: the words, see `tfmmrec.data.statistics.words_of`; token i + 3 is word i. Before them stand padding,
            an unknown word and a hidden one.
        max_length: how many words of a text are read.
        dim: size of a vector.
        num_layers: of blocks.
        num_heads: of each.
        seed: of the weights.
    """
    tf.keras.utils.set_random_seed(seed)
    lookup = VocabularyLookup(vocabulary)
    start = tf.keras.initializers.RandomNormal(stddev=_START, seed=seed)
    words = tf.Variable(start([_SPECIAL + len(vocabulary), dim]), name="words")
    places = tf.Variable(start([max_length, dim]), name="places")
    blocks = [TransformerBlock(dim, num_heads, name=f"block_{number}") for number in range(num_layers)]
    norm = tf.keras.layers.LayerNormalization(epsilon=1e-6, name="norm")

    def preprocess(raw: tf.Tensor) -> dict[str, tf.Tensor]:
        clean = tf.strings.unicode_transcode(raw, "UTF-8", "UTF-8")
        found = split_words(clean).to_tensor("", shape=[None, max_length])
        there = tf.strings.length(found) > 0
        rows = lookup(found)
        tokens = tf.where(rows >= 0, rows + _SPECIAL, tf.where(there, UNKNOWN, PADDING))
        return {"token_ids": tokens, "padding_mask": there}

    def encode_sequence(tensors: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        mask = tensors["padding_mask"]
        x = tf.gather(words, tensors["token_ids"]) + places
        for block in blocks:
            x = block(x, x, mask[:, None])
        return norm(x), mask

    def encode(tensors: dict[str, tf.Tensor]) -> tf.Tensor:
        return pool_tokens(*encode_sequence(tensors), "mean")

    encode(preprocess(tf.constant(["a"])))  # builds the layers
    layers = [[words, places], *(list(block.trainable_weights) for block in blocks), list(norm.trainable_weights)]
    weights = [weight for layer in layers for weight in layer]
    card = {"source": "small", "network": "Transformer", "pooling": "mean", "max_length": max_length}
    card["tokens"] = {"vocabulary_size": _SPECIAL + len(vocabulary), "mask": MASK, "special": [PADDING, UNKNOWN]}
    return Halves("text", preprocess, encode, weights, weights, [lookup], card, encode_sequence, layers)
