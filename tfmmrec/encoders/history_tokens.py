"""The texts of what a query chose before."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.encoders.history import PastCandidates
from tfmmrec.encoders.sequence_history import newest_first
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class HistoryTokens(PastCandidates):
    """The tokens of a query's newest past candidates, one text behind the other, newest first.

    `call` gets the candidates' tokens as `table` `[num_candidates, num_tokens]`. Entries that are not there close up.

    Args:
        length: how many past candidates are kept, newest first.
        num_texts: how many of them are read.
        dropout: share of the entries left out at random in a training step, before the newest are taken.

    Raises:
        UsageError: a number out of range.
    """

    def __init__(self, length: int, num_texts: int, dropout: float = 0.0, **kwargs):
        super().__init__(length, dropout, **kwargs)
        if num_texts < 1:
            raise UsageError(f"the number of texts read of a history must be at least 1, got {num_texts}")
        self.num_texts = num_texts

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        rows, count = newest_first(self.kept(inputs["rows"], training), self.num_texts)  # [batch, num_texts]
        table = inputs["table"]
        tokens = tf.gather(table, tf.maximum(rows, 0))  # [batch, num_texts, num_tokens]
        tokens = tf.where(rows[:, :, None] >= 0, tokens, tf.zeros_like(tokens))
        return {"vector": tf.reshape(tokens, [-1, self.num_texts * table.shape[1]]), "present": count > 0}

    def get_config(self):
        return super().get_config() | {"num_texts": self.num_texts}
