"""From the bytes of videos to evenly spread frames of one size, with stock ops."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.encoders.pictures import decode_pictures, resized_pixels

_START, _END = b"\xff\xd8", b"\xff\xd9"  # of a JPEG


def decode_frames(raw: tf.Tensor, num_frames: int, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Bytes of MJPEG (JPEG pictures one behind the other), animated GIF or pictures -> frames, evenly spread.

    The frames are the middles of `num_frames` equal parts; of shorter videos all, and zeros behind them. An empty
    string is a missing video.

    Args:
        raw: strings `[batch]`.
        num_frames: of what comes out.
        height: of a frame, in pixels.
        width: likewise.

    Returns:
        uint8 `[batch, num_frames, height, width, 3]`, and bool `[batch, num_frames]`, which of them are there.
    """
    spec = (
        tf.TensorSpec([num_frames, height, width, 3], tf.uint8),
        tf.TensorSpec([num_frames], tf.bool),
    )

    def of_gif(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        frames = tf.io.decode_gif(data)  # [frames, h, w, 3]
        places, there = _spread(tf.shape(frames)[0], num_frames)
        kept = resized_pixels(tf.gather(frames, places), height, width)
        padded = tf.pad(kept, [[0, num_frames - tf.shape(places)[0]], [0, 0], [0, 0], [0, 0]])
        return tf.ensure_shape(padded, spec[0].shape), there

    def of_pictures(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parts = tf.cond(tf.strings.substr(data, 0, 2) == _START, lambda: _jpegs(data), lambda: data[None])
        places, there = _spread(tf.shape(parts)[0], num_frames)
        kept = tf.pad(tf.gather(parts, places), [[0, num_frames - tf.shape(places)[0]]], constant_values="")
        return decode_pictures(tf.ensure_shape(kept, [num_frames]), height, width)[0], there

    def one(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cond(tf.strings.substr(data, 0, 3) == b"GIF", lambda: of_gif(data), lambda: of_pictures(data))

    def one_or_none(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cond(
            tf.strings.length(data) > 2,
            lambda: one(data),
            lambda: (tf.zeros(spec[0].shape, tf.uint8), tf.zeros([num_frames], tf.bool)),
        )

    return tf.map_fn(one_or_none, raw, fn_output_signature=spec)


def _jpegs(data: tf.Tensor) -> tf.Tensor:
    """The pictures of an MJPEG, strings `[pictures]`; what stands behind the last one's end is left out."""
    parts = tf.strings.split(data, _END)
    return tf.strings.join([parts[:-1], _END])


def _spread(number: tf.Tensor, num_frames: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Which of `number` frames are taken, int32 `[count]`, and which places of the result they fill."""
    count = tf.minimum(number, num_frames)
    places = (2 * tf.range(count) + 1) * number // (2 * tf.maximum(count, 1))
    return places, tf.range(num_frames) < count
