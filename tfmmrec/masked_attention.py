"""Attention over tokens of which some are not there."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.types import UsageError

INITIAL_LENGTH = 0.1  # of v: scores start near 0, so that the weights start near uniform


def masked_softmax(scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis where `mask` is True and 0 elsewhere, float32; all 0 where it is True nowhere."""
    scores = tf.where(mask, tf.cast(scores, tf.float32), tf.float32.min)  # finite, so that no gradient becomes NaN
    weights = tf.nn.softmax(scores, axis=-1)
    return tf.where(mask, weights, tf.zeros_like(weights))


@tf.keras.utils.register_keras_serializable("tfmmrec")
class MultiHeadAttention(tf.keras.layers.Layer):
    """Attention(Q, K, V) = softmax(Q Kᵀ / √d_head) V in each head, the heads side by side through W_O (Vaswani et al.
    2017), over the keys that are there. Where there is none the result is zero: no projection has a bias.

    Args:
        dim: size of the tokens; the heads share it.
        num_heads: must divide `dim`.

    Raises:
        UsageError: a number below 1, or heads that do not divide `dim`.
    """

    def __init__(self, dim: int, num_heads: int, **kwargs):
        super().__init__(**kwargs)
        if dim < 1 or num_heads < 1 or dim % num_heads:
            raise UsageError(
                f"num_heads must be at least 1 and divide dim, got num_heads={num_heads} and dim={dim}; use heads "
                f"such as 1, 2 or 4 and a dim that is a multiple of them"
            )
        self.dim = dim
        self.num_heads = num_heads
        self.query, self.key, self.value, self.output_layer = (
            tf.keras.layers.Dense(dim, use_bias=False, name=name) for name in ("query", "key", "value", "output")
        )

    def call(self, tokens: tf.Tensor, others: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Tokens that ask `[batch, n, dim]`, tokens that answer `[batch, k, dim]` -> `[batch, n, dim]`.

        `mask` `[batch, n or 1, k]` is True where a token may see another.
        """
        size = self.dim // self.num_heads
        asking = self._heads(self.query(tokens)) * size**-0.5
        scores = tf.einsum("bnhd,bkhd->bhnk", asking, self._heads(self.key(others)))
        weights = tf.cast(masked_softmax(scores, mask[:, None]), self.compute_dtype)  # [batch, num_heads, n, k]
        found = tf.einsum("bhnk,bkhd->bnhd", weights, self._heads(self.value(others)))
        return self.output_layer(tf.reshape(found, [-1, tokens.shape[1], self.dim]))

    def _heads(self, x: tf.Tensor) -> tf.Tensor:
        """`[batch, n, dim]` -> `[batch, n, num_heads, dim / num_heads]`."""
        return tf.reshape(x, [-1, x.shape[1], self.num_heads, self.dim // self.num_heads])

    def get_config(self):
        return super().get_config() | {"dim": self.dim, "num_heads": self.num_heads}


@tf.keras.utils.register_keras_serializable("tfmmrec")
class AttentionPooling(tf.keras.layers.Layer):
    """Σ_i a_i x_i, a = softmax of vᵀ tanh(W x_i + c_g(i)) over the tokens that are there (Bahdanau et al. 2015).

    Tokens come in groups, such as modalities: W and v are shared, the bias is each group's own. It tells groups apart
    whose tokens are so short that W x_i is near 0 for all of them.

    Args:
        dim: size of the tokens and of W x_i.
        sizes: how many tokens each group has.
    """

    def __init__(self, dim: int, sizes: tuple[int, ...], **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.sizes = tuple(sizes)
        self.hidden = tf.keras.layers.Dense(dim, use_bias=False, name="hidden")  # W
        options = {"experimental_autocast": False}  # scores and softmax are in full precision
        self.biases = self.add_weight(name="biases", shape=[len(self.sizes), dim], initializer="zeros", **options)
        start = tf.keras.initializers.RandomNormal(stddev=INITIAL_LENGTH * dim**-0.5)
        self.score = self.add_weight(name="score", shape=[dim], initializer=start, **options)  # v

    def call(self, tokens: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Tokens `[batch, n, dim]` and their mask `[batch, n]` -> `[batch, dim]`, zero where there is no token."""
        biases = tf.repeat(self.biases, self.sizes, axis=0)  # [n, dim]
        hidden = tf.tanh(tf.cast(self.hidden(tokens), tf.float32) + biases)
        weights = masked_softmax(tf.linalg.matvec(hidden, self.score), mask)  # [batch, n]
        return tf.linalg.matvec(tokens, tf.cast(weights, tokens.dtype), transpose_a=True)

    def get_config(self):
        return super().get_config() | {"dim": self.dim, "sizes": list(self.sizes)}
