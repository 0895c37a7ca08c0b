"""tests/pretrained/test_checkpoint_halves.py compares the tokens of a graph with those that Keras makes outside."""

import numpy as np
import pytest
import tensorflow as tf

from tests.pretrained.inputs import PIECES
from tfmmrec.pretrained.byte_pairs import without_cache


class Tokenizer:
    """Looks words up as KerasHub's do."""

    merges = ["a b"]

    def __init__(self):
        self.cache = self.byte2unicode = self.merge_ranks = self.token_to_id_map = None

    def _maybe_initialized_tf(self):
        self.byte2unicode, self.merge_ranks, self.token_to_id_map = "one", "two", "three"

    def __call__(self, words):
        seen = self.cache.lookup(words)

        def unseen():
            self.cache.insert(words, tf.strings.join([words, "!"]))
            return self.cache.lookup(words)

        return tf.cond(tf.reduce_any(seen == ""), unseen, lambda: seen)


def test_nothing_is_remembered():
    tokenizer = Tokenizer()
    assert without_cache(tokenizer) == ["one", "two", "three"]
    split = tf.function(tokenizer, input_signature=[tf.TensorSpec([None], tf.string)])
    for words in (["a", "b"], ["b"], []):
        np.testing.assert_array_equal(split(tf.constant(words, tf.string)), [f"{word}!".encode() for word in words])
    assert tokenizer.cache._pieces is None


def test_other_tokenizers_stay_as_they_are():
    assert without_cache(object()) == []


@pytest.mark.slow
def test_words_that_nobody_merged_are_letters(exported):
    tensors = exported.load("clip text").preprocess(tf.constant(["Red wool  bl"]))
    pieces = ["<|startoftext|>", "red</w>", "w", "o", "o", "l</w>", "b", "l</w>", "<|endoftext|>"]
    np.testing.assert_array_equal(tensors["token_ids"][0, :9], [PIECES[piece] for piece in pieces])
