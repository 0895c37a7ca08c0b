"""From the bytes of videos to evenly spread frames of one size, with stock ops."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.encoders.pictures import decode_pictures, middle_of, resized_pixels

_START, _END = b"\xff\xd8", b"\xff\xd9"  # of a JPEG


def decode_frames(
    raw: tf.Tensor, num_frames: int, height: int, width: int, crop: bool = False, repeat: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """Bytes of MJPEG (JPEG pictures one behind the other), animated GIF or pictures -> frames, evenly spread.

    The frames are the middles of `num_frames` equal parts; of shorter videos all, and zeros behind them. An empty
    string is a missing video.

    Args:
        raw: strings `[batch]`.
        num_frames: of what comes out.
        height: of a frame, in pixels.
        width: likewise.
        crop: what juts out of the middle's largest part of that form is cut off, see `decode_pictures`.
        repeat: of a shorter video, frames stand several times in a row instead of zeros behind them: for networks that
            cannot be told which frames are there.

    Returns:
        uint8 `[batch, num_frames, height, width, 3]`, and bool `[batch, num_frames]`, which of them are there.
    """
    spec = (
        tf.TensorSpec([num_frames, height, width, 3], tf.uint8),
        tf.TensorSpec([num_frames], tf.bool),
    )

    def of_gif(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        frames = tf.io.decode_gif(data)  # [frames, h, w, 3]
        places, there = _spread(tf.shape(frames)[0], num_frames, repeat)
        kept = tf.gather(frames, places)
        kept = resized_pixels(middle_of(kept, height, width) if crop else kept, height, width)
        padded = tf.pad(kept, [[0, num_frames - tf.shape(places)[0]], [0, 0], [0, 0], [0, 0]])
        return tf.ensure_shape(padded, spec[0].shape), there

    def of_pictures(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kept, there = _some_pictures(data, num_frames, repeat)
        return decode_pictures(kept, height, width, crop)[0], there

    def one(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cond(_is_gif(data), lambda: of_gif(data), lambda: of_pictures(data))

    def one_or_none(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cond(
            tf.strings.length(data) > 2,
            lambda: one(data),
            lambda: (tf.zeros(spec[0].shape, tf.uint8), tf.zeros([num_frames], tf.bool)),
        )

    return tf.map_fn(one_or_none, raw, fn_output_signature=spec)


def frame_pictures(raw: tf.Tensor, num_frames: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The frames of `decode_frames` as bytes of pictures, for encoders of pictures that cut and resize by themselves.

    Args:
        raw: strings `[batch]`.
        num_frames: of what comes out.

    Returns:
        Strings `[batch, num_frames]`: JPEG, PNG of a GIF's frames, and "" where there is none; and bool of that shape.
    """
    spec = (tf.TensorSpec([num_frames], tf.string), tf.TensorSpec([num_frames], tf.bool))

    def of_gif(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        frames = tf.io.decode_gif(data)  # [frames, h, w, 3]
        places, there = _spread(tf.shape(frames)[0], num_frames)
        pictures = tf.map_fn(tf.io.encode_png, tf.gather(frames, places), fn_output_signature=tf.string)
        return _padded(pictures, num_frames), there

    def one(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cond(_is_gif(data), lambda: of_gif(data), lambda: _some_pictures(data, num_frames))

    def one_or_none(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        none = (tf.fill([num_frames], ""), tf.zeros([num_frames], tf.bool))
        return tf.cond(tf.strings.length(data) > 2, lambda: one(data), lambda: none)

    return tf.map_fn(one_or_none, raw, fn_output_signature=spec)


def _is_gif(data: tf.Tensor) -> tf.Tensor:
    return tf.strings.substr(data, 0, 3) == b"GIF"


def _some_pictures(data: tf.Tensor, num_frames: int, repeat: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
    """Bytes of MJPEG or of a picture -> those of the pictures that are taken, `[num_frames]`, and which are there."""
    parts = tf.cond(tf.strings.substr(data, 0, 2) == _START, lambda: _jpegs(data), lambda: data[None])
    places, there = _spread(tf.shape(parts)[0], num_frames, repeat)
    return _padded(tf.gather(parts, places), num_frames), there


def _padded(pictures: tf.Tensor, num_frames: int) -> tf.Tensor:
    """Strings `[count]` -> `[num_frames]`, "" behind them."""
    padded = tf.pad(pictures, [[0, num_frames - tf.shape(pictures)[0]]], constant_values="")
    return tf.ensure_shape(padded, [num_frames])


def _jpegs(data: tf.Tensor) -> tf.Tensor:
    """The pictures of an MJPEG, strings `[pictures]`; what stands behind the last one's end is left out."""
    parts = tf.strings.split(data, _END)
    return tf.strings.join([parts[:-1], _END])


def _spread(number: tf.Tensor, num_frames: int, repeat: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
    """Which of `number` frames are taken, int32 `[count]`, and which places of the result they fill."""
    count = tf.where(number > 0, num_frames, 0) if repeat else tf.minimum(number, num_frames)
    places = (2 * tf.range(count) + 1) * number // (2 * tf.maximum(count, 1))
    return places, tf.range(num_frames) < count
