"""What is done to a picture before a network sees it, in training alone."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.encoders.augmentation import color_jitter, random_flip, random_resized_crop
from tfmmrec.randomness import RandomDraws
from tfmmrec.types import UsageError

MANNERS = ("none", "flip", "crop", "full")
_AREA = (0.2, 1.0)  # what a candidate is recognised by shall stay in sight (He et al. 2022, "Masked autoencoders")
_JITTERED = 0.8  # of the pictures (Chen et al. 2020, SimCLR)


@tf.keras.utils.register_keras_serializable("tfmmrec")
class PictureAugmentation(tf.keras.layers.Layer):
    """Pictures as they are; in training each time another form of them, with draws that a checkpoint remembers.

    Args:
        manner: `none`; `flip`, of left and right; `crop`, that and a part of 20 to 100% of the area, stretched; or
            `full`, that and brightness, contrast and saturation. See `tfmmrec.encoders.augmentation`.
        seed: of the draws, see `RandomDraws`.

    Raises:
        UsageError: an unknown manner.
    """

    def __init__(self, manner: str = "none", seed: int | None = None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if manner not in MANNERS:
            raise UsageError(f"augmentation must be one of {', '.join(MANNERS)}, got {manner!r}")
        self.manner = manner
        self.draws = None if manner == "none" else RandomDraws(seed, name="draws")

    def call(self, pixels: tf.Tensor, training: bool | None = None, repeats: int = 1) -> tf.Tensor:
        """Pictures -> pictures of the same shape and type.

        Args:
            pixels: `[batch, height, width, 3]`, uint8, or floats of any range, which can only be flipped and cropped.
            training: False leaves them as they are.
            repeats: so many pictures in a row are changed alike: the frames of a clip.

        Raises:
            UsageError: floats of which also the colours were to be changed.
        """
        if not training or self.draws is None:
            return pixels
        if self.manner == "full" and pixels.dtype != tf.uint8:
            raise UsageError(
                f"augmentation='full' changes colours, but of {pixels.dtype.name} pixels it is not known which number "
                f"is black and which is white: use 'crop' or 'flip'"
            )
        flip, crop, jitter = tf.unstack(tf.random.split(self.draws.next_seed(), 3))
        pictures = tf.cast(pixels, tf.float32) / 255.0 if pixels.dtype == tf.uint8 else pixels
        pictures = random_flip(pictures, flip, repeats=repeats)
        if self.manner != "flip":
            pictures = random_resized_crop(pictures, crop, _AREA, repeats=repeats)
        if self.manner == "full":
            pictures = color_jitter(pictures, jitter, rate=_JITTERED, repeats=repeats)
        if pixels.dtype != tf.uint8:
            return pictures
        return tf.cast(tf.round(tf.clip_by_value(pictures, 0.0, 1.0) * 255.0), tf.uint8)

    def get_config(self):
        return super().get_config() | {"manner": self.manner, "seed": self.draws.seed if self.draws else None}
