"""Pictures: two changed versions of one find each other among those of others (Chen et al. 2020, SimCLR)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.encoders.augmentation import color_jitter, random_flip, random_resized_crop
from tfmmrec.pretraining.objective import Objective
from tfmmrec.pretraining.pretraining_options import PretrainingOptions
from tfmmrec.pretraining.trainable_encoder import Tensors, TrainableEncoder

_JITTERED = 0.8  # of the pictures (SimCLR, appendix A)
_LOWEST = -1e9  # finite, so that no gradient becomes NaN


class AugmentationPairs(Objective):
    """NT-Xent between two crops of each picture, mirrored, lit and coloured at random.

    The changes are made of the pixels that the encoder reads, cut and resized by it; hue and sharpness stay.

    Args:
        encoders: one, of pictures.
        options: `temperature`, `projection_dim`, `least_area`, `jitter`, `grayscale`, `seed`.
    """

    kinds = ("image",)
    own_options = ("temperature", "projection_dim", "least_area", "jitter", "grayscale")

    def __init__(self, encoders: Mapping[str, TrainableEncoder], options: PretrainingOptions):
        super().__init__(encoders)
        self.options = options
        (encoder,) = encoders.values()
        starts = [tf.keras.initializers.GlorotUniform(seed=options.seed + number) for number in range(2)]
        self.hidden = tf.keras.layers.Dense(encoder.dim, activation="relu", kernel_initializer=starts[0], name="hidden")
        self.projection = tf.keras.layers.Dense(
            options.projection_dim, use_bias=False, kernel_initializer=starts[1], name="projection"
        )
        self.hidden.build([None, encoder.dim])
        self.projection.build([None, encoder.dim])
        self.head = [*self.hidden.trainable_weights, *self.projection.trainable_weights]

    def loss(self, inputs: Mapping[str, Tensors], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        ((feature, tensors),) = inputs.items()
        twice = tf.repeat(tensors["pixels"], 2, axis=0)  # versions of one picture stand side by side
        vectors = self.encoders[feature].encode({"pixels": self.changed(twice, seed)})
        return nt_xent(self.projection(self.hidden(vectors)), self.options.temperature)

    def changed(self, pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Pixels, uint8 `[batch, height, width, 3]` -> each changed at random."""
        seeds = tf.random.split(seed, 3)
        pictures = tf.cast(pixels, tf.float32) / 255.0
        pictures = random_resized_crop(pictures, seeds[0], area=(self.options.least_area, 1.0))
        strength = self.options.jitter
        pictures = color_jitter(
            random_flip(pictures, seeds[1]), seeds[2], strength, strength, strength, _JITTERED, self.options.grayscale
        )
        return tf.cast(tf.round(tf.clip_by_value(pictures, 0.0, 1.0) * 255.0), tf.uint8)

    def chance(self, batch_size: int) -> float:
        return math.log(2 * batch_size - 1)


def nt_xent(vectors: tf.Tensor, temperature: float) -> tuple[tf.Tensor, tf.Tensor]:
    """The normalised, temperature-scaled cross-entropy: mean_i −log softmax_{j ≠ i}(cos(z_i, z_j) / τ) at i's partner.

    Args:
        vectors: `[2 * batch, dim]`, rows 2k and 2k + 1 are partners.
        temperature: τ.

    Returns:
        The loss, and the share of rows whose nearest other row is their partner.
    """
    unit = tf.math.l2_normalize(tf.cast(vectors, tf.float32), axis=1, epsilon=1e-6)
    number = tf.shape(unit)[0]
    logits = tf.matmul(unit, unit, transpose_b=True) / temperature
    logits = tf.linalg.set_diag(logits, tf.fill([number], _LOWEST))
    partners = tf.bitwise.bitwise_xor(tf.range(number), 1)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(partners, logits)
    found = tf.argmax(logits, axis=1, output_type=tf.int32) == partners
    return tf.reduce_mean(losses), tf.reduce_mean(tf.cast(found, tf.float32))
