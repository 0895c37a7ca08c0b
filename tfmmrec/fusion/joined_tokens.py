"""Joined tokens: the texts of one side behind one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class JoinedTokens(tf.keras.layers.Layer):
    """[t_1 ; … ; t_F], the tokens of each text in its own places. A text that is absent is padding: zeros.

    Nothing is fused, and nothing may follow: whoever reads a side's tokens reads the other side's with them.

    Args:
        order: the names of all texts, in the order in which they are read.

    Raises:
        UsageError: called with other texts than these.
    """

    stands_last = True

    def __init__(self, order: Sequence[str], **kwargs):
        super().__init__(**{"autocast": False} | kwargs)  # half precision would make other tokens of them
        self.order = tuple(order)

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Texts' tokens float32 `[batch, any]` each -> float32 `[batch, num_tokens]`."""
        if set(embedded) != set(self.order):
            raise UsageError(f"{self.name} joins the texts {list(self.order)}, got {sorted(embedded)}")
        return tf.concat([embedded[name]["vector"] for name in self.order], axis=1)

    def get_config(self):
        return super().get_config() | {"order": list(self.order)}
