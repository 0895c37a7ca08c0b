"""What a query chose before, in its order."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.encoders.history import PastCandidates
from tfmmrec.masked_attention import MultiHeadAttention
from tfmmrec.randomness import Dropout
from tfmmrec.types import Embedded, UsageError

KINDS: tuple[str, ...] = ("transformer", "gru", "lstm")
_EPSILON = 1e-8  # as in SASRec's own code: candidates' vectors may be short


def newest_first(rows: tf.Tensor, length: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The newest `length` entries without the gaps between them, so that a place says how many are newer.

    Args:
        rows: int32 `[batch, any]`, newest first, -1 where there is none.

    Returns:
        int32 `[batch, length]`, -1 only behind the oldest, and how many there are, int32 `[batch]`.
    """
    order = tf.argsort(tf.cast(rows < 0, tf.int32), axis=1, stable=True)
    rows = tf.gather(rows, order, batch_dims=1)
    rows = tf.ensure_shape(tf.pad(rows, [[0, 0], [0, length]], constant_values=-1)[:, :length], [None, length])
    return rows, tf.reduce_sum(tf.cast(rows >= 0, tf.int32), axis=1)


@tf.keras.utils.register_keras_serializable("tfmmrec")
class SequenceHistoryEncoder(PastCandidates):
    """Reads the vectors of a query's past candidates as a sequence, to its newest.

    gru, lstm: layers of them one upon the other, from the oldest to the newest; the last state of the last is the
        vector (Hidasi et al. 2016; Hochreiter & Schmidhuber 1997).
    transformer: x_i = v_i + p_i, p learned and counted from the newest (p_0); then in each block
        x ← x + Dropout(Attention(LN(x))) and x ← x + Dropout(ReLU(LN(x) W_1 + b_1) W_2 + b_2); LN(x_0), the newest's,
        is the vector (SASRec, Kang & McAuley 2018). Of the last block only that one is computed.

    Entries that are not there have no influence, wherever they stand: those that are there close up. A history without
    any is not present.

    Args:
        length: how many past candidates are kept, newest first.
        kind: transformer, gru or lstm.
        dim: size of the result, and of what is inside; that of the candidates' vectors when None. A transformer
            projects vectors of another size.
        num_layers: blocks of a transformer, or layers of a gru or lstm.
        num_heads: of a transformer's attention; must divide its size.
        dropout: share of the entries left out at random in a training step.
        hidden_dropout: in a transformer's blocks, between the layers of a gru or lstm, and on what they read.
        causal: in a transformer an entry sees itself and older ones; False: all. The newest sees all in either case,
            so that with one block there is no difference.

    Raises:
        UsageError: an unknown kind, a number out of range, or heads that do not divide the size.
    """

    def __init__(
        self,
        length: int,
        kind: str = "transformer",
        dim: int | None = None,
        num_layers: int = 2,
        num_heads: int = 1,
        dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        causal: bool = True,
        **kwargs,
    ):
        super().__init__(length, dropout, **kwargs)
        if kind not in KINDS:
            raise UsageError(f"kind of a history's sequence must be one of {', '.join(KINDS)}, got {kind!r}")
        if num_layers < 1 or num_heads < 1 or (dim is not None and dim < 1):
            raise UsageError(
                f"a history's num_layers, num_heads and dim must be at least 1, got num_layers={num_layers}, "
                f"num_heads={num_heads}, dim={dim}"
            )
        self.kind = kind
        self.dim = dim
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dropout = hidden_dropout
        self.causal = causal
        self.read_dropout = Dropout(hidden_dropout, name="read_dropout")
        self.projection = None
        self.blocks: list[TransformerBlock] = []
        self.recurrent: list[tf.keras.layers.Layer] = []
        self.between: list[Dropout] = []

    def build(self, input_shape) -> None:
        given = int(input_shape["table"][-1])
        dim = self.dim or given
        if self.kind == "transformer":
            if dim != given:
                self.projection = tf.keras.layers.Dense(dim, use_bias=False, name="projection")
            self.positions = self.add_weight(name="positions", shape=[self.length, dim], initializer="zeros")
            self.blocks = [
                TransformerBlock(dim, self.num_heads, self.hidden_dropout, name=f"block_{i}")
                for i in range(self.num_layers)
            ]
            self.normalization = tf.keras.layers.LayerNormalization(epsilon=_EPSILON, name="normalization")
        else:
            layer = {"gru": tf.keras.layers.GRU, "lstm": tf.keras.layers.LSTM}[self.kind]
            self.recurrent = [
                layer(dim, return_sequences=i < self.num_layers - 1, name=f"{self.kind}_{i}")
                for i in range(self.num_layers)
            ]
            self.between = [Dropout(self.hidden_dropout, name=f"dropout_{i}") for i in range(self.num_layers - 1)]
        super().build(input_shape)

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        rows, count = newest_first(self.kept(inputs["rows"], training), self.length)  # [batch, length], [batch]
        mask = rows >= 0
        vectors = tf.cast(tf.gather(inputs["table"], tf.maximum(rows, 0)), self.compute_dtype)
        vectors = tf.where(mask[:, :, None], vectors, tf.zeros_like(vectors))  # [batch, length, given_dim]
        read = self._transformer if self.kind == "transformer" else self._recurrent
        vector, present = read(vectors, mask, count, training), count > 0
        return {"vector": tf.where(present[:, None], vector, tf.zeros_like(vector)), "present": present}

    def _transformer(self, x: tf.Tensor, mask: tf.Tensor, count: tf.Tensor, training: bool | None) -> tf.Tensor:
        if self.projection is not None:
            x = self.projection(x)
        x = self.read_dropout(x + tf.cast(self.positions, x.dtype), training=training)
        seen = mask[:, None, :]  # [batch, 1, length]
        if self.causal:  # place 0 is the newest: the older ones stand at its right
            seen &= tf.linalg.band_part(tf.ones([self.length, self.length]), 0, -1) > 0
        for block in self.blocks[:-1]:
            x = block(x, x, seen, training=training)
        newest = self.blocks[-1](x[:, :1], x, mask[:, None, :], training=training)  # [batch, 1, dim]
        return tf.squeeze(self.normalization(newest), axis=1)

    def _recurrent(self, x: tf.Tensor, mask: tf.Tensor, count: tf.Tensor, training: bool | None) -> tf.Tensor:
        # the oldest first and the padding still at the end, where the fused kernels want it
        x = self.read_dropout(tf.reverse_sequence(x, count, seq_axis=1), training=training)
        for layer, dropout in zip(self.recurrent, self.between, strict=False):
            x = dropout(layer(x, mask=mask, training=training), training=training)
        return self.recurrent[-1](x, mask=mask, training=training)  # [batch, dim]

    def get_config(self):
        return super().get_config() | {
            "kind": self.kind,
            "dim": self.dim,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "hidden_dropout": self.hidden_dropout,
            "causal": self.causal,
        }


@tf.keras.utils.register_keras_serializable("tfmmrec")
class TransformerBlock(tf.keras.layers.Layer):
    """x ← x + Dropout(Attention(LN(x))), x ← x + Dropout(ReLU(LN(x) W_1 + b_1) W_2 + b_2), all of one size (Kang &
    McAuley 2018, III.B).

    Args:
        dim: size of the tokens.
        num_heads: must divide it.
        dropout: of what is added.
    """

    def __init__(self, dim: int, num_heads: int = 1, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.attention = MultiHeadAttention(dim, num_heads, name="attention")
        self.before_attention, self.before_network = (
            tf.keras.layers.LayerNormalization(epsilon=_EPSILON, name=name)
            for name in ("before_attention", "before_network")
        )
        self.hidden = tf.keras.layers.Dense(dim, activation="relu", name="hidden")
        self.output_layer = tf.keras.layers.Dense(dim, name="output")
        self.dropouts = [Dropout(dropout, name=f"dropout_{i}") for i in range(2)]

    def call(self, x: tf.Tensor, others: tf.Tensor, mask: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Tokens `[batch, n, dim]`, those they look at `[batch, k, dim]` -> `[batch, n, dim]`.

        `mask` `[batch, n or 1, k]` is True where a token may see another.
        """
        found = self.attention(self.before_attention(x), self.before_attention(others), mask)
        x = x + self.dropouts[0](found, training=training)
        hidden = self.output_layer(self.hidden(self.before_network(x)))
        return x + self.dropouts[1](hidden, training=training)

    def get_config(self):
        return super().get_config() | {"dim": self.dim, "num_heads": self.num_heads, "dropout": self.dropout}
