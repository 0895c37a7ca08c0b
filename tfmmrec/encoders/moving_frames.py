"""Frames of a video through a small convolutional network that sees what moves in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from tfmmrec.encoders.convolutional import ConvolutionalEncoder, check_pixels


class MovingFrames(ConvolutionalEncoder):
    """Each frame, and what changed since the one before it, through `ConvolutionalEncoder`'s convolutions.

    The difference of two frames is the RGB difference of Wang et al. 2016, "Temporal segment networks": where nothing
    moves it is zero, so that even the mean over the frames' vectors tells one motion from another.

    Args:
        dim: size of a frame's embedding.
        height: of a frame, in pixels.
        width: likewise.
        filters: channels of the convolutions; each halves the frame.
        mode: as `ConvolutionalEncoder` has it.
    """

    def __init__(
        self,
        dim: int,
        height: int,
        width: int,
        filters: Sequence[int],
        mode: Literal["cached", "finetuned"] = "cached",
        **kwargs,
    ):
        check_pixels(height, width, filters)
        super().__init__(dim, (height, width, 6), filters, mode, "video", **kwargs)
        self.height = height
        self.width = width

    def call(self, frames: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Frames `[batch, frames, height, width, 3]` in 0 to 255, and which are there -> `[batch, frames, dim]`."""
        x = tf.cast(frames, self.compute_dtype) / 127.5 - 1.0
        both = tf.cast(mask[:, 1:] & mask[:, :-1], x.dtype)[:, :, None, None, None]
        changed = tf.pad((x[:, 1:] - x[:, :-1]) * both, [[0, 0], [1, 0], [0, 0], [0, 0], [0, 0]])  # of the first: none
        grid = tf.reshape(tf.concat([x, changed], axis=-1), [-1, *self.grid])  # [batch * frames, ...]
        vectors = self.embed_grid(grid, tf.reshape(mask, [-1]))["vector"]
        return tf.reshape(vectors, [-1, frames.shape[1], self.dim])
