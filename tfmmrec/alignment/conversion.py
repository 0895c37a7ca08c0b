"""Modality conversion: what a candidate lacks, predicted from what it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.alignment.alignment import Alignment
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class ModalityConversion(Alignment):
    """x̂_m = f_m([x_others; b_others]): the others' vectors, zero where absent, and which of them are present.

    Trained where m and another modality are present, by Σ_m mean ‖x̂_m − x_m‖² without gradient to the target; used
    where m is missing and another is present. There the result has x̂_m as its vector, is present, so that the fusion
    uses it, and has True under the key `imputed`. Rows without any modality stay absent.

    Args:
        hidden_dims: hidden layers of each f_m, with ReLU; none for a linear one.
        weight: of the loss.
        exclude: modalities that are neither predicted nor predicted from.

    Raises:
        UsageError: a size below 1, a negative weight, or fewer than two modalities that take part.
    """

    def __init__(
        self, hidden_dims: Sequence[int] = (), weight: float = 0.1, exclude: Sequence[str] = ("id",), **kwargs
    ):
        super().__init__(weight, exclude, **kwargs)
        if min([1, *hidden_dims]) < 1:
            raise UsageError(f"modality conversion's hidden_dims must be at least 1, got {tuple(hidden_dims)}")
        self.hidden_dims = tuple(hidden_dims)
        self.converters: list[list[tf.keras.layers.Dense]] = []

    def build(self, input_shape):
        dims = [input_shape[name]["vector"][-1] for name in self.participants(input_shape)]
        self.converters = [self._converter(place, dims) for place in range(len(dims))]
        super().build(input_shape)

    def _converter(self, place: int, dims: list[int]) -> list[tf.keras.layers.Dense]:
        layers = [
            tf.keras.layers.Dense(size, activation="relu", name=f"hidden_{place}_{i}")
            for i, size in enumerate(self.hidden_dims)
        ] + [tf.keras.layers.Dense(dims[place], name=f"output_{place}")]
        sizes = [sum(dims) - dims[place] + len(dims) - 1, *self.hidden_dims]
        for layer, size in zip(layers, sizes, strict=True):
            layer.build([None, size])
        return layers

    def predict(self, vectors: Sequence[tf.Tensor], present: tf.Tensor) -> list[tf.Tensor]:
        """x̂_m of every modality from the others, `[batch, dim_m]` each; vectors are zero where absent."""
        flags = tf.cast(present, self.compute_dtype)  # [batch, num_modalities]
        predicted = []
        for place, layers in enumerate(self.converters):
            others = [*vectors[:place], *vectors[place + 1 :], flags[:, :place], flags[:, place + 1 :]]
            x = tf.concat(others, axis=1)
            for layer in layers:
                x = layer(x)
            predicted.append(x)
        return predicted

    def call(
        self, embedded: Mapping[str, Embedded], counted: tf.Tensor | None = None, training: bool | None = None
    ) -> dict[str, Embedded]:
        """Embedded modalities -> the same, with those that were missing predicted and marked as `imputed`."""
        result = {name: dict(part) for name, part in embedded.items()}
        vectors, present = self.vectors(embedded), self.present(embedded)
        predicted = self.predict(vectors, present)
        others = tf.reduce_sum(tf.cast(present, tf.int32), axis=1, keepdims=True) - tf.cast(present, tf.int32) > 0
        if training:
            self.add_loss(self.weight * _squared_error(predicted, vectors, self.given(embedded, counted) & others))
        imputed = ~present & others  # [batch, num_modalities]
        for place, name in enumerate(self.participants(embedded)):
            chosen = imputed[:, place]
            earlier = embedded[name].get("imputed", tf.zeros_like(chosen))
            result[name] |= {
                "vector": tf.where(chosen[:, None], predicted[place], vectors[place]),
                "present": present[:, place] | chosen,
                "imputed": earlier | chosen,
            }
        return result

    def get_config(self):
        return super().get_config() | {"hidden_dims": list(self.hidden_dims)}


def _squared_error(predicted: Sequence[tf.Tensor], targets: Sequence[tf.Tensor], mask: tf.Tensor) -> tf.Tensor:
    """Σ_m mean ‖x̂_m − x_m‖² over the rows of the mask, bool `[batch, num_modalities]`; float32."""
    terms = []
    for place, (guess, target) in enumerate(zip(predicted, targets, strict=True)):
        difference = tf.cast(guess, tf.float32) - tf.stop_gradient(tf.cast(target, tf.float32))
        chosen = tf.cast(mask[:, place], tf.float32)
        error = tf.reduce_sum(chosen * tf.reduce_sum(difference**2, axis=1))
        terms.append(error / tf.maximum(tf.reduce_sum(chosen), 1.0))
    return tf.add_n(terms)
