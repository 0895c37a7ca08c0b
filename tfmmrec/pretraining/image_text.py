"""Texts and pictures: those of one candidate find each other among those of others (Radford et al. 2021, CLIP)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.alignment.contrastive import symmetric_info_nce
from tfmmrec.pretraining.objective import Objective
from tfmmrec.pretraining.pretraining_options import PretrainingOptions
from tfmmrec.pretraining.trainable_encoder import Tensors, TrainableEncoder

_START, _MOST = 1 / 0.07, 100.0  # of the learned scale of similarities (CLIP, 2.4 and 2.5)
_LOWEST = -1e9


class ImageText(Objective):
    """Symmetric cross-entropy of the similarities of texts and pictures of one size, under a learned temperature.

    Candidates with the same text, or the same picture, are not told from each other.

    Args:
        encoders: one of texts and one of pictures.
        options: `projection_dim`, `seed`.
    """

    kinds = ("text", "image")
    own_options = ("projection_dim",)

    def __init__(self, encoders: Mapping[str, TrainableEncoder], options: PretrainingOptions):
        super().__init__(encoders)
        self.features = sorted(encoders, key=lambda feature: self.kinds.index(encoders[feature].input_kind))
        self.projections = {}
        for number, feature in enumerate(self.features):
            start = tf.keras.initializers.GlorotUniform(seed=options.seed + number)
            layer = tf.keras.layers.Dense(
                options.projection_dim, use_bias=False, kernel_initializer=start, name=f"projection_{number}"
            )
            layer.build([None, encoders[feature].dim])
            self.projections[feature] = layer
        self.scale = tf.Variable(math.log(_START), name="scale")
        self.head = [*(w for layer in self.projections.values() for w in layer.trainable_weights), self.scale]

    def loss(self, inputs: Mapping[str, Tensors], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        vectors, groups = [], []
        for feature in self.features:
            tensors = dict(inputs[feature])
            groups.append(tensors.pop("group"))
            vectors.append(self.projections[feature](self.encoders[feature].encode(tensors)))
        same = tf.logical_or(*(group[:, None] == group for group in groups))
        return clip_loss(*vectors, tf.minimum(tf.exp(self.scale), _MOST), same)

    def chance(self, batch_size: int) -> float:
        return math.log(batch_size)


def clip_loss(texts: tf.Tensor, pictures: tf.Tensor, scale: tf.Tensor, same: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """−½ mean_i [log softmax_j(s cos(t_i, p_j))_i + log softmax_j(s cos(t_j, p_i))_i].

    Args:
        texts: `[batch, dim]`.
        pictures: `[batch, dim]`.
        scale: s.
        same: bool `[batch, batch]`, pairs i ≠ j that are left out of the sums.

    Returns:
        The loss, and the share of texts and pictures whose nearest is their own.
    """
    units = [tf.math.l2_normalize(tf.cast(side, tf.float32), axis=1, epsilon=1e-6) for side in (texts, pictures)]
    logits = scale * tf.matmul(*units, transpose_b=True)
    own = tf.eye(tf.shape(logits)[0], dtype=tf.bool)
    logits = tf.where(same & ~own, _LOWEST, logits)
    labels = tf.range(tf.shape(logits)[0])
    loss = symmetric_info_nce(logits, tf.ones_like(labels, tf.bool))
    found = [tf.argmax(matrix, axis=1, output_type=tf.int32) == labels for matrix in (logits, tf.transpose(logits))]
    return loss, tf.reduce_mean(tf.cast(tf.stack(found), tf.float32))
