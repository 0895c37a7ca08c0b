"""Pictures through a small convolutional network, trained on the catalogue: no download."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.pictures import decode_pictures
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class ImageEncoder(Encoder):
    """A stack of strided 3×3 convolutions with batch-independent normalisation, global pooling and a dense layer.

    Args:
        dim: size of the embedding.
        height: pictures are resized to this many pixels,
        width: by this many.
        filters: channels of the convolutions; each halves the picture.
        mode: `cached` (trained for a bounded while before the towers, then run once for each candidate) or `finetuned`
            (trained in every step with the rest).

    The sequence is the last feature map's cells. Normalisation is by group (Wu & He 2018), so that a picture's
    vector does not depend on its batch.
    """

    def __init__(
        self,
        dim: int,
        height: int = 64,
        width: int = 64,
        filters: Sequence[int] = (32, 64, 96, 128),
        mode: Literal["cached", "finetuned"] = "cached",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if mode not in ("cached", "finetuned"):
            raise UsageError(f"mode must be cached or finetuned for the small image network, got {mode!r}")
        self.mode = mode
        if min(height, width) < 2 ** len(filters):
            raise UsageError(
                f"{len(filters)} convolutions halve a picture to less than one pixel of {height}×{width}; "
                f"use at least {2 ** len(filters)} pixels or fewer filters"
            )
        self.dim = dim
        self.height = height
        self.width = width
        self.filters = tuple(filters)
        self.convolutions = [
            tf.keras.layers.Conv2D(size, 3, strides=2, padding="same", use_bias=False, name=f"convolution_{i}")
            for i, size in enumerate(self.filters)
        ]
        self.norms = [
            tf.keras.layers.GroupNormalization(groups=math.gcd(8, size), name=f"norm_{i}")
            for i, size in enumerate(self.filters)
        ]
        self.projection = tf.keras.layers.Dense(dim, name="projection")

    def build(self, input_shape=None):
        channels = 3
        height, width = self.height, self.width
        for convolution, norm, size in zip(self.convolutions, self.norms, self.filters, strict=True):
            convolution.build([None, height, width, channels])
            channels, height, width = size, -(-height // 2), -(-width // 2)
            norm.build([None, height, width, channels])
        self.projection.build([None, 2 * channels])
        super().build(input_shape)

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.string)

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Picture bytes `[batch]` -> `pixels`, uint8 `[batch, height, width, 3]`, and `has_pixels`, bool `[batch]`."""
        pixels, present = decode_pictures(raw, self.height, self.width)
        return {"pixels": pixels, "has_pixels": present}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        present = inputs["has_pixels"]
        x = tf.cast(inputs["pixels"], self.compute_dtype) / 127.5 - 1.0  # [batch, height, width, 3]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = tf.nn.relu(norm(convolution(x)))
        pooled = tf.concat([tf.reduce_mean(x, axis=[1, 2]), tf.reduce_max(x, axis=[1, 2])], axis=1)
        vector = self.projection(pooled) * tf.cast(present, self.compute_dtype)[:, None]
        cells = tf.reshape(x, [-1, x.shape[1] * x.shape[2], x.shape[3]])  # [batch, cells, channels]
        mask = tf.repeat(present[:, None], cells.shape[1], axis=1)
        return {"vector": vector, "present": present, "sequence": cells, "sequence_mask": mask}

    def get_config(self):
        return super().get_config() | {
            "dim": self.dim,
            "height": self.height,
            "width": self.width,
            "filters": list(self.filters),
            "mode": self.mode,
        }
