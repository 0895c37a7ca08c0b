"""KerasHub's byte-pair tokenizers inside of a graph that is saved."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class _NoCache:
    """In place of a tokenizer's table of words seen: it forgets, where that grows with everything a server is sent.

    The tokenizer looks up all words, finds none of them, inserts the pieces of all, and looks up all again.
    """

    def __init__(self):
        self._pieces: tf.Tensor | None = None

    def lookup(self, words: tf.Tensor) -> tf.Tensor:
        """The pieces that were inserted just now, or empty strings, `[words]`."""
        pieces, self._pieces = self._pieces, None
        return tf.fill(tf.shape(words), "") if pieces is None else tf.ensure_shape(pieces, words.shape)

    def insert(self, words: tf.Tensor, pieces: tf.Tensor) -> None:
        """Holds the pieces `[words]` for the next look-up."""
        self._pieces = pieces


def without_cache(tokenizer) -> list[Any]:
    """Makes a tokenizer keep nothing of what it has seen, and names the tables that it looks up in.

    Words of no characters would not be among what is inserted; the tokenizers leave them out.

    Returns:
        The tables, empty for tokenizers that have none.
    """
    prepare = getattr(tokenizer, "_maybe_initialized_tf", None)
    if prepare is None or not hasattr(tokenizer, "merges"):
        return []
    prepare()
    tokenizer.cache = _NoCache()
    names = ("byte2unicode", "merge_ranks", "token_to_id_map")
    return [getattr(tokenizer, name) for name in names]
