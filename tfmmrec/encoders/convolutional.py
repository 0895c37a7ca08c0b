"""What the small networks for pictures and for sounds share: a grid of numbers through strided convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.types import Embedded, UsageError


def check_pixels(height: int, width: int, filters: Sequence[int]) -> None:
    """Raises `UsageError` where a picture is too small for so many convolutions, each of which halves it."""
    if min(height, width) < 2 ** len(filters):
        raise UsageError(
            f"{len(filters)} convolutions halve a picture to less than one pixel of {height}×{width}; "
            f"use at least {2 ** len(filters)} pixels or fewer filters"
        )


class ConvolutionalEncoder(Encoder):
    """A stack of strided 3×3 convolutions with batch-independent normalisation, global pooling and a dense layer.

    Args:
        dim: size of the embedding.
        grid: height, width and channels of what it sees.
        filters: channels of the convolutions; each halves height and width.
        mode: `cached` (trained for a bounded while before the towers, then run once for each candidate) or `finetuned`
            (trained in every step with the rest).
        what: it sees, for messages: `image`.

    The sequence is the last feature map's cells. Normalisation is by group (Wu & He 2018), so that a vector does not
    depend on its batch.
    """

    def __init__(
        self,
        dim: int,
        grid: tuple[int, int, int],
        filters: Sequence[int],
        mode: Literal["cached", "finetuned"],
        what: str,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if mode not in ("cached", "finetuned"):
            raise UsageError(
                f"mode ({what}_mode) must be cached or finetuned for the small {what} network, got {mode!r}"
            )
        self.mode = mode
        self.dim = dim
        self.grid = grid
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
        height, width, channels = self.grid
        for convolution, norm, size in zip(self.convolutions, self.norms, self.filters, strict=True):
            convolution.build([None, height, width, channels])
            channels, height, width = size, -(-height // 2), -(-width // 2)
            norm.build([None, height, width, channels])
        self.projection.build([None, 2 * channels])
        super().build(input_shape)

    def embed_grid(self, x: tf.Tensor, present: tf.Tensor, there: tf.Tensor | None = None) -> Embedded:
        """A grid of numbers -> its vector, pooled by mean and maximum, and its last cells.

        Args:
            x: `[batch, height, width, channels]`, of the layer's compute dtype.
            present: bool `[batch]`.
            there: bool `[batch, rows]`, which rows of the last feature map are pooled; all where None.
        """
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = tf.nn.relu(norm(convolution(x)))
        cells = tf.reshape(x, [-1, x.shape[1] * x.shape[2], x.shape[3]])  # [batch, cells, channels]
        mask = tf.repeat(present[:, None], cells.shape[1], axis=1)
        if there is None:
            pooled = [tf.reduce_mean(x, axis=[1, 2]), tf.reduce_max(x, axis=[1, 2])]
        else:
            counted = tf.repeat(there, x.shape[2], axis=1)  # [batch, cells]
            mask &= counted
            shares = tf.cast(counted, x.dtype)[..., None]
            number = tf.maximum(tf.reduce_sum(shares, axis=1), 1.0)
            # nothing lies below zero behind a rectifier, so what is left out of the maximum may be zero
            pooled = [tf.reduce_sum(cells * shares, axis=1) / number, tf.reduce_max(cells * shares, axis=1)]
        vector = self.projection(tf.concat(pooled, axis=1)) * tf.cast(present, self.compute_dtype)[:, None]
        return {"vector": vector, "present": present, "sequence": cells, "sequence_mask": mask}

    def get_config(self):
        return super().get_config() | {"dim": self.dim, "filters": list(self.filters), "mode": self.mode}
