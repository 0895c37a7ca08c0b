"""What every encoder is: a layer in two halves."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.types import Embedded


class Encoder(tf.keras.layers.Layer):
    """One modality of one side, from its raw value to a vector.

    `preprocess` turns a raw batch (strings, bytes, numbers) into numeric tensors of static shape with stock
    TensorFlow ops and no trainable weight: it runs on tf.data's threads or once over the catalogue in training,
    and inside the graph when served. `call` embeds those tensors. A missing value is data: `call` says which
    rows are present, and the fusion masks the others.

    Under mixed precision the tensors of `preprocess` reach `call` as they are, since half precision would round years
    and overflow prices; the vector that leaves `call` has the layer's compute dtype.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    num_terms: int | None = None
    """Columns of its sparse form, for encoders that give `terms`."""
    handle: str | None = None
    """Where a pretrained encoder comes from."""
    presence: str | None = None
    """The tensor of `preprocess` that says which rows are there, of networks that learn before they are cached."""

    def raw_spec(self) -> tf.TensorSpec:
        """Dtype and shape `[None, ...]` of the raw batch that `preprocess` takes."""
        raise NotImplementedError(f"{type(self).__name__} does not say its raw_spec")

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Raw batch `[batch, ...]` -> numeric tensors `[batch, ...]` by name."""
        raise NotImplementedError(f"{type(self).__name__} has no preprocess")

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        """The tensors of `preprocess` -> `vector [batch, dim]`, `present [batch]` and more that `Embedded` names."""
        raise NotImplementedError(f"{type(self).__name__} has no call")
