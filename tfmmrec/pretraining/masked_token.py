"""Texts: tokens are hidden, and the encoder learns to say which they were (Devlin et al. 2019, BERT, 3.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.pretraining.objective import Objective
from tfmmrec.pretraining.pretraining_options import PretrainingOptions
from tfmmrec.pretraining.trainable_encoder import Tensors, TrainableEncoder
from tfmmrec.types import DataError

_HIDDEN, _OTHER = 0.8, 0.1  # of the chosen tokens: hidden, and exchanged for any other; the rest stay


class MaskedToken(Objective):
    """Cross-entropy of the tokens of a text that were chosen, at least one of each, from the others.

    A chosen token is hidden (80 %), exchanged for a random one (10 %), or left (10 %). Its vector h is read by BERT's
    head: logits = LayerNorm(gelu(h W + b)) Eᵀ + c, where E are the encoder's own token embeddings.

    Args:
        encoders: one, of texts.
        options: `mask_share`, `seed`.

    Raises:
        DataError: the encoder gives no vectors of tokens, or has no token that stands for a hidden one.
    """

    kinds = ("text",)
    own_options = ("mask_share",)

    def __init__(self, encoders: Mapping[str, TrainableEncoder], options: PretrainingOptions):
        super().__init__(encoders)
        (encoder,) = encoders.values()
        told = encoder.card.get("tokens")
        if not encoder.has_sequence or not told:
            lacks = "no token that stands for a hidden one" if encoder.has_sequence else "no vectors of tokens"
            raise DataError(
                f"{encoder.source}: cannot learn from masked tokens: it has {lacks}. Export a checkpoint that has both "
                "(BERT's, RoBERTa's, ALBERT's and their kin) with `tfmmrec encoder export` as it is today, or begin "
                "with a small one: --encoder FEATURE=small"
            )
        self.vocabulary_size: int = told["vocabulary_size"]
        self.mask: int = told["mask"]
        self.special = tf.constant(sorted({*told["special"], self.mask}), tf.int32)
        self.mask_share = options.mask_share
        size = encoder.encode_sequence(encoder.preprocess(tf.constant(["a"])))[0].shape[2]
        tables = [v for v in encoder.module.variables if v.shape.rank == 2 and v.shape[0] == self.vocabulary_size]
        self.table = tables[0] if tables else None
        dim = self.table.shape[1] if tables else size
        start = tf.keras.initializers.TruncatedNormal(stddev=0.02, seed=options.seed)
        self.hidden = tf.keras.layers.Dense(dim, activation=tf.nn.gelu, kernel_initializer=start, name="hidden")
        self.norm = tf.keras.layers.LayerNormalization(epsilon=1e-12, name="norm")
        self.hidden.build([None, size])
        self.norm.build([None, dim])
        self.bias = tf.Variable(tf.zeros([self.vocabulary_size]), name="bias")
        self.head = [*self.hidden.trainable_weights, *self.norm.trainable_weights, self.bias]
        if self.table is None:
            self.table = tf.Variable(start([self.vocabulary_size, dim]), name="tokens")
            self.head.append(self.table)

    def preprocess(self, feature: str, raw: tf.Tensor) -> Tensors:
        tensors = super().preprocess(feature, raw)
        return tensors | {"usable": tf.reduce_any(self._may_be_chosen(tensors), axis=1)}

    def loss(self, inputs: Mapping[str, Tensors], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        ((feature, tensors),) = inputs.items()
        tensors = {name: tensor for name, tensor in tensors.items() if name != "group"}
        tokens = tensors["token_ids"]
        chosen, shown = self.hide(tokens, self._may_be_chosen(tensors), seed)
        sequence, _ = self.encoders[feature].encode_sequence(tensors | {"token_ids": shown})
        vectors = tf.boolean_mask(sequence, chosen)  # [num_chosen, token_dim]
        labels = tf.boolean_mask(tokens, chosen)
        logits = tf.matmul(self.norm(self.hidden(vectors)), self.table, transpose_b=True) + self.bias
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        found = tf.argmax(logits, axis=1, output_type=tf.int32) == labels
        return tf.reduce_mean(losses), tf.reduce_mean(tf.cast(found, tf.float32))

    def hide(self, tokens: tf.Tensor, may_be: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Chooses tokens and hides them.

        Args:
            tokens: int32 `[batch, n]`.
            may_be: bool `[batch, n]`, which may be chosen; one in each row at least.
            seed: int32 `[2]`.

        Returns:
            Which were chosen, bool `[batch, n]`, and the tokens as they are shown, int32 `[batch, n]`.
        """
        seeds = tf.random.split(seed, 3)
        shape = tf.shape(tokens)
        draws = tf.where(may_be, tf.random.stateless_uniform(shape, seeds[0]), 2.0)
        chosen = may_be & ((draws < self.mask_share) | (draws == tf.reduce_min(draws, axis=1, keepdims=True)))
        fate = tf.random.stateless_uniform(shape, seeds[1])
        others = tf.random.stateless_uniform(shape, seeds[2], 0, self.vocabulary_size, tf.int32)
        changed = tf.where(fate < _HIDDEN, self.mask, tf.where(fate < _HIDDEN + _OTHER, others, tokens))
        return chosen, tf.where(chosen, changed, tokens)

    def chance(self, batch_size: int) -> float:
        return math.log(self.vocabulary_size)

    def _may_be_chosen(self, tensors: Tensors) -> tf.Tensor:
        special = tf.reduce_any(tensors["token_ids"][:, :, None] == self.special, axis=2)
        return tensors["padding_mask"] & ~special
