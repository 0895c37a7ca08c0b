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
    gradients. Alternating updates (Goodfellow et al. 2014) give the discriminator a turn of its own: in each step its
    own Adam first moves it, by L_D of vectors that are held still; then projections and encoders learn from −λ L_D
    under the discriminator as it now is. It is then not among the trainable weights, so that the model's optimizer,
    clipping and weight decay do not touch it; Adam's state is among the others.

    Args:
        dim: size of every h_m.
        strength: λ.
        hidden_dims: hidden layers of the discriminator, each with ReLU.
        reverse: False leaves R out: projections and encoders then help the discriminator, as a control.
        updates: at_once, or alternating.
        learning_rate: of the discriminator's own Adam, where updates alternate.
        replace: the fusion gets h_m in place of x_m.
        weight: of the loss.
        exclude: modalities that do not take part.

    Raises:
        UsageError: a size below 1, a negative λ or weight, fewer than two modalities that take part, updates of
            another name, alternating ones without R, or a learning rate that is not positive.
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
        updates: str = "at_once",
        learning_rate: float = 1e-3,
        **kwargs,
    ):
        super().__init__(dim, replace, weight, exclude, **kwargs)
        if not strength >= 0.0:
            raise UsageError(f"gradient reversal's strength must be at least 0, got {strength}")
        if min([1, *hidden_dims]) < 1:
            raise UsageError(f"the discriminator's hidden_dims must be at least 1, got {tuple(hidden_dims)}")
        if updates not in ("at_once", "alternating"):
            raise UsageError(f"the adversaries' updates must be at_once or alternating, got {updates!r}")
        if updates == "alternating" and not reverse:
            raise UsageError(
                "alternating updates are of adversaries, and reverse=False makes none; leave one of them out"
            )
        if not learning_rate > 0.0:
            raise UsageError(f"the discriminator's learning_rate must be positive, got {learning_rate}")
        self.strength = strength
        self.alternating = updates == "alternating"  # Keras keeps `updates` for itself
        self.hidden_dims = tuple(hidden_dims)
        self.reverse = reverse
        self.learning_rate = learning_rate
        self.discriminator: list[tf.keras.layers.Dense] = []
        self.optimizer: tf.keras.optimizers.Adam | None = None

    def build(self, input_shape):
        super().build(input_shape)
        sizes = [self.dim, *self.hidden_dims]
        self.discriminator = [
            tf.keras.layers.Dense(size, activation="relu", dtype="float32", name=f"discriminator_{i}")
            for i, size in enumerate(self.hidden_dims)
        ] + [tf.keras.layers.Dense(len(self.kernels), dtype="float32", name="discriminator_output")]
        for layer, size in zip(self.discriminator, sizes, strict=True):
            layer.build([None, None, size])
        if self.alternating:
            for layer in self.discriminator:
                layer.trainable = False  # by the model's optimizer
            self.optimizer = tf.keras.optimizers.Adam(self.learning_rate)
            self.optimizer.build(self._discriminator_weights())

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        return [*super().non_trainable_weights, *(self.optimizer.variables if self.optimizer is not None else [])]

    def modality_logits(self, projected: tf.Tensor) -> tf.Tensor:
        """The discriminator: `[batch, num_modalities, dim]` -> float32 `[batch, num_modalities, num_modalities]`."""
        for layer in self.discriminator:
            kernel, bias = (tf.cast(weight, projected.dtype) for weight in (layer.kernel, layer.bias))
            projected = layer.activation(tf.matmul(projected, kernel) + bias)
        return tf.cast(projected, tf.float32)

    def alignment_loss(self, projected: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        if self.alternating:
            self._move_discriminator(projected, given)
        if self.reverse:
            projected = reverse_gradient(projected, self.strength)
        return self._cross_entropy(projected, given)

    def _move_discriminator(self, projected: tf.Tensor, given: tf.Tensor) -> None:
        """A step of the discriminator's own."""
        weights = self._discriminator_weights()
        still = tf.cast(tf.stop_gradient(projected), tf.float32)  # half precision would lose small gradients
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            loss = self._cross_entropy(still, given)
        # every replica sees the same rows, and Keras adds their gradients up
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        gradients = [gradient / replicas for gradient in tape.gradient(loss, weights)]
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))

    def _discriminator_weights(self) -> list[tf.Variable]:
        return [weight for layer in self.discriminator for weight in layer.weights]

    def _cross_entropy(self, projected: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        """L_D, scalar."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(_own_modality(given), self.modality_logits(projected))
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
            "updates": "alternating" if self.alternating else "at_once",
            "learning_rate": self.learning_rate,
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
