"""Adversarial alignment: representations of which nothing can tell the modality they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.alignment.projected import ProjectedAlignment
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class AdversarialAlignment(ProjectedAlignment):
    """A discriminator learns to tell m from h_m = P_m x_m; gradient reversal teaches h_m to give nothing away.

    L_D = −mean log softmax(D(R(h_m)))_m over the present modalities. R is the identity, and its gradient is −λ times
    the identity's (Ganin & Lempitsky 2015): the discriminator minimises L_D, projections and encoders maximise λ L_D.

    Updating both players at once from two losses, each with the other's weights held still, gives these same
    gradients. Updating them in turns (Goodfellow et al. 2014) takes two optimizer steps a batch; it is left out, for a
    training step here applies its gradients once.

    Args:
        dim: size of every h_m.
        strength: λ.
        hidden_dims: hidden layers of the discriminator, each with ReLU.
        reverse: False leaves R out: projections and encoders then help the discriminator, as a control.
        replace: the fusion gets h_m in place of x_m.
        weight: of the loss.
        exclude: modalities that do not take part.

    Raises:
        UsageError: a size below 1, a negative λ or weight, or fewer than two modalities that take part.
    """

    def __init__(
        self,
        dim: int,
        strength: float = 1.0,
        hidden_dims: Sequence[int] = (64,),
        reverse: bool = True,
        replace: bool = False,
        weight: float = 0.1,
        exclude: Sequence[str] = ("id",),
        **kwargs,
    ):
        super().__init__(dim, replace, weight, exclude, **kwargs)
        if not strength >= 0.0:
            raise UsageError(f"gradient reversal's strength must be at least 0, got {strength}")
        if min([1, *hidden_dims]) < 1:
            raise UsageError(f"the discriminator's hidden_dims must be at least 1, got {tuple(hidden_dims)}")
        self.strength = strength
        self.hidden_dims = tuple(hidden_dims)
        self.reverse = reverse
        self.discriminator: list[tf.keras.layers.Dense] = []

    def build(self, input_shape):
        super().build(input_shape)
        sizes = [self.dim, *self.hidden_dims]
        self.discriminator = [
            tf.keras.layers.Dense(size, activation="relu", name=f"discriminator_{i}")
            for i, size in enumerate(self.hidden_dims)
        ] + [tf.keras.layers.Dense(len(self.kernels), name="discriminator_output")]
        for layer, size in zip(self.discriminator, sizes, strict=True):
            layer.build([None, None, size])

    def modality_logits(self, projected: tf.Tensor) -> tf.Tensor:
        """The discriminator: `[batch, num_modalities, dim]` -> float32 `[batch, num_modalities, num_modalities]`."""
        for layer in self.discriminator:
            projected = layer(projected)
        return tf.cast(projected, tf.float32)

    def alignment_loss(self, projected: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        if self.reverse:
            projected = reverse_gradient(projected, self.strength)
        logits = self.modality_logits(projected)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(_own_modality(given), logits)
        return tf.math.divide_no_nan(tf.reduce_sum(tf.where(given, losses, 0.0)), _number(given))

    def accuracy(self, embedded: Mapping[str, Embedded], counted: tf.Tensor | None = None) -> tf.Tensor:
        """The share of the present h_m whose modality the discriminator names, a scalar in [0, 1].

        Chance is the share of the most frequent modality: 1 / num_modalities where none is ever missing.
        """
        given = self.given(embedded, counted)
        named = tf.argmax(self.modality_logits(self.project(embedded)), axis=2, output_type=tf.int32)
        return tf.math.divide_no_nan(_number(given & (named == _own_modality(given))), _number(given))

    def get_config(self):
        return super().get_config() | {
            "strength": self.strength,
            "hidden_dims": list(self.hidden_dims),
            "reverse": self.reverse,
        }


def reverse_gradient(values: tf.Tensor, strength: float) -> tf.Tensor:
    """The values as they are; their gradient is −strength times what comes back (Ganin & Lempitsky 2015)."""

    @tf.custom_gradient
    def identity(values):
        return tf.identity(values), lambda upstream: -strength * upstream

    return identity(values)


def _own_modality(given: tf.Tensor) -> tf.Tensor:
    """The place of each modality, int32 `[batch, num_modalities]`."""
    return tf.zeros_like(given, tf.int32) + tf.range(given.shape[1])


def _number(mask: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(mask, tf.float32))
