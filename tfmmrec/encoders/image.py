"""Pictures through a small convolutional network, trained on the catalogue: no download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from tfmmrec.encoders.convolutional import ConvolutionalEncoder, check_pixels
from tfmmrec.encoders.picture_augmentation import PictureAugmentation
from tfmmrec.encoders.pictures import decode_pictures
from tfmmrec.types import Embedded


@tf.keras.utils.register_keras_serializable("tfmmrec")
class ImageEncoder(ConvolutionalEncoder):
    """A picture's pixels through the convolutions of `ConvolutionalEncoder`.

    Args:
        dim: size of the embedding.
        height: pictures are resized to this many pixels,
        width: by this many.
        filters: channels of the convolutions; each halves the picture.
        mode: `cached` (trained for a bounded while before the towers, then run once for each candidate) or `finetuned`
            (trained in every step with the rest).
        augmentation: none, flip, crop or full, see `PictureAugmentation`: how pictures are changed at random whenever
            this network is trained on them, in either mode.
    """

    presence = "has_pixels"

    def __init__(
        self,
        dim: int,
        height: int = 64,
        width: int = 64,
        filters: Sequence[int] = (32, 64, 96, 128),
        mode: Literal["cached", "finetuned"] = "cached",
        augmentation: Literal["none", "flip", "crop", "full"] = "none",
        **kwargs,
    ):
        super().__init__(dim, (height, width, 3), filters, mode, "image", **kwargs)
        check_pixels(height, width, filters)
        self.height = height
        self.width = width
        self.augmentation = PictureAugmentation(augmentation, name="augmentation")

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.string)

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Picture bytes `[batch]` -> `pixels`, uint8 `[batch, height, width, 3]`, and `has_pixels`, bool `[batch]`."""
        pixels, present = decode_pictures(raw, self.height, self.width)
        return {"pixels": pixels, "has_pixels": present}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        pixels = self.augmentation(inputs["pixels"], training=training)
        x = tf.cast(pixels, self.compute_dtype) / 127.5 - 1.0  # [batch, height, width, 3]
        return self.embed_grid(x, inputs["has_pixels"])

    def get_config(self):
        return super().get_config() | {
            "height": self.height,
            "width": self.width,
            "augmentation": self.augmentation.manner,
        }
