"""What reads the texts of a query and of a candidate as one text, and scores them."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfmmrec.encoders.sequence_history import TransformerBlock
from tfmmrec.encoders.text_tokens import WordTable, code_points, joined_texts
from tfmmrec.models.score_network import ScoreNetwork

SEPARATOR = "[SEP] "
_EPSILON = 1e-6


@tf.keras.utils.register_keras_serializable("tfmmrec")
class WordReader(tf.keras.layers.Layer):
    """Our own encoder of pairs: logit = MLP([x_SEP ; x_q ; x_c ; x_q ⊙ x_c]) over x = Transformer([query ; SEP ;
    candidate]).

    A token enters as LN(its word's embedding + that of its place + that of its segment), as in BERT (Devlin et al.
    2019); SEP is a word of its own. Every token sees all others, those of the other side too. x_q and x_c are the means
    over the tokens of a side, zero where it has none. BERT's head reads one token only, which has learned from much
    text to speak for the pair; here the product says from the start which words both sides have.

    Args:
        table: the words.
        query_length: tokens of a query, padding among them.
        candidate_length: tokens of a candidate.
        num_layers: blocks of the transformer.
        num_heads: of its attention; must divide the size of the words' embeddings.
        dropout: in the blocks and in the network.
        hidden_dims: of the network.
        use_bias: see `ScoreNetwork`.
    """

    def __init__(
        self,
        table: WordTable,
        query_length: int,
        candidate_length: int,
        num_layers: int = 1,
        num_heads: int = 2,
        dropout: float = 0.0,
        hidden_dims: Sequence[int] = (),
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**{"autocast": False} | kwargs)  # tokens are numbers that half precision has not
        self.table = table
        self.query_length = query_length
        self.candidate_length = candidate_length
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.dropout = dropout
        length, dim = query_length + 1 + candidate_length, table.dim
        start = tf.keras.initializers.RandomNormal(stddev=dim**-0.5)
        self.separator = self.add_weight(name="separator", shape=[dim], initializer=start)
        self.places = self.add_weight(name="places", shape=[length, dim], initializer="zeros")
        self.segments = self.add_weight(name="segments", shape=[2, dim], initializer="zeros")
        self.before, self.after = (
            tf.keras.layers.LayerNormalization(epsilon=_EPSILON, name=name) for name in ("before", "after")
        )
        self.blocks = [TransformerBlock(dim, num_heads, dropout, name=f"block_{i}") for i in range(num_layers)]
        self.network = ScoreNetwork(hidden_dims, dropout, use_bias, name="network")

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Tokens `[n, query_length]` and `[n, candidate_length]` -> float32 `[n]`."""
        query = tf.ensure_shape(inputs[0], [None, self.query_length])
        candidate = tf.ensure_shape(inputs[1], [None, self.candidate_length])
        batch = tf.shape(query)[0]
        separator = tf.tile(tf.cast(self.separator, self.compute_dtype)[None, None], [batch, 1, 1])
        x = tf.concat([self.table(query), separator, self.table(candidate)], axis=1)  # [n, length, dim]
        mask = tf.concat([query > 0, tf.fill([batch, 1], True), candidate > 0], axis=1)  # [n, length]
        sizes = [self.query_length + 1, self.candidate_length]  # SEP ends the query's segment
        x = self.before(x + tf.cast(self.places + tf.repeat(self.segments, sizes, axis=0), x.dtype))
        for block in self.blocks:
            x = block(x, x, mask[:, None], training=training)
        x = self.after(x)
        end = self.query_length
        of_query, of_candidate = _mean(x[:, :end], mask[:, :end]), _mean(x[:, end + 1 :], mask[:, end + 1 :])
        read = tf.concat([x[:, end], of_query, of_candidate, of_query * of_candidate], axis=1)  # [n, 4 * dim]
        return self.network(read, training=training)

    def get_config(self):
        return super().get_config() | {
            "table": tf.keras.layers.serialize(self.table),
            "query_length": self.query_length,
            "candidate_length": self.candidate_length,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "dropout": self.dropout,
            "hidden_dims": list(self.network.hidden_dims),
            "use_bias": self.network.use_bias,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"table": tf.keras.layers.deserialize(config["table"])})


def _mean(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """`[n, k, dim]`, `[n, k]` -> the mean of those that are there `[n, dim]`, zero where there is none."""
    weights = tf.cast(mask, x.dtype)
    count = tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1.0)
    return tf.linalg.matvec(x, weights / count, transpose_a=True)


@tf.keras.utils.register_keras_serializable("tfmmrec")
class StringReader(tf.keras.layers.Layer):
    """A pretrained encoder of texts over "candidate [SEP] query", and an MLP on its vector (Nogueira & Cho 2019).

    The candidate stands first, the query's oldest choice last: of what is too long for the encoder that is cut first.

    Of the characters of both sides one string is made here, in the step, since such an encoder takes strings and cuts
    them into its own tokens; its string ops run on the processor, also where the step runs on an accelerator.

    Args:
        encoder: a `SavedModelEncoder` of texts, in finetuned or frozen mode.
        hidden_dims: of the MLP; none for a linear head.
        dropout: in it.
        use_bias: see `ScoreNetwork`.
    """

    def __init__(
        self,
        encoder: tf.keras.layers.Layer,
        hidden_dims: Sequence[int] = (),
        dropout: float = 0.0,
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**{"autocast": False} | kwargs)  # tokens are numbers that half precision has not
        self.encoder = encoder
        self.network = ScoreNetwork(hidden_dims, dropout, use_bias, name="network")

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Code points `[n, query_length]` and `[n, candidate_length]` -> float32 `[n]`."""
        texts = self.texts(*inputs)
        embedded = self.encoder({"text": texts, "given": tf.ones_like(texts, tf.bool)}, training=training)
        return self.network(embedded["vector"], training=training)

    def texts(self, query: tf.Tensor, candidate: tf.Tensor) -> tf.Tensor:
        """What the encoder reads, string `[n]`."""
        separator = tf.cast(code_points(tf.constant([SEPARATOR])).to_tensor(), query.dtype)  # [1, characters]
        separator = tf.tile(separator, [tf.shape(query)[0], 1])
        return tf.strings.strip(joined_texts(tf.concat([candidate, separator, query], axis=1)))

    def get_config(self):
        return super().get_config() | {
            "encoder": tf.keras.layers.serialize(self.encoder),
            "hidden_dims": list(self.network.hidden_dims),
            "dropout": self.network.dropout,
            "use_bias": self.network.use_bias,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"encoder": tf.keras.layers.deserialize(config["encoder"])})
