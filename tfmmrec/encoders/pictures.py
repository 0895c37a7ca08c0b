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
            picture = middle_of(picture, height, width)
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


def middle_of(pictures: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """The largest part of the middle of pictures `[..., h, w, 3]` with h : w as height : width."""
    shape = tf.shape(pictures)
    h, w = shape[-3], shape[-2]
    rows = tf.clip_by_value(w * height // width, 1, h)
    columns = tf.clip_by_value(h * width // height, 1, w)
    top, left = (h - rows) // 2, (w - columns) // 2
    return pictures[..., top : top + rows, left : left + columns, :]
