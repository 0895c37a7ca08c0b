"""From the bytes of pictures to pixels of one size, with stock ops."""

from __future__ import annotations

import tensorflow as tf


def decode_pictures(
    raw: tf.Tensor, height: int, width: int, crop: bool = False, method: str = "bilinear", antialias: bool = True
) -> tuple[tf.Tensor, tf.Tensor]:
    """Picture bytes of any size -> uint8 pixels `[batch, height, width, 3]` and presence `[batch]`.

    JPEG, PNG, GIF (its first frame) and BMP; an empty string is a missing picture and gives zeros.

    Args:
        raw: strings `[batch]`.
        height: of what comes out, in pixels.
        width: likewise.
        crop: what juts out of the middle's largest part of that form is cut off; otherwise the picture is stretched to
            the size, and nothing is cut off.
        method: of `tf.image.resize`.
        antialias: smooth before shrinking.
    """

    def decode(data: tf.Tensor) -> tf.Tensor:
        picture = tf.io.decode_image(data, channels=3, expand_animations=False)
        picture.set_shape([None, None, 3])
        if crop:
            picture = _middle(picture, height, width)
        return resized_pixels(picture, height, width, method, antialias)

    def one(data: tf.Tensor) -> tf.Tensor:
        return tf.cond(
            tf.strings.length(data) > 0, lambda: decode(data), lambda: tf.zeros([height, width, 3], tf.uint8)
        )

    spec = tf.TensorSpec([height, width, 3], tf.uint8)
    return tf.map_fn(one, raw, fn_output_signature=spec), tf.strings.length(raw) > 0


def resized_pixels(
    pictures: tf.Tensor, height: int, width: int, method: str = "bilinear", antialias: bool = True
) -> tf.Tensor:
    """Pixels `[..., h, w, 3]` -> uint8 `[..., height, width, 3]`; the other arguments as of `decode_pictures`."""
    resized = tf.image.resize(pictures, [height, width], method=method, antialias=antialias)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def _middle(picture: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """The largest part `[h, w, 3]` of the picture's middle with h : w as height : width."""
    shape = tf.shape(picture)
    rows = tf.clip_by_value(shape[1] * height // width, 1, shape[0])
    columns = tf.clip_by_value(shape[0] * width // height, 1, shape[1])
    top, left = (shape[0] - rows) // 2, (shape[1] - columns) // 2
    return picture[top : top + rows, left : left + columns]
