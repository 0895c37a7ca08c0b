"""What the tests of damaged files damage, and what must be able to decode what is let through."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tests.data.clips import animation, mjpeg
from tests.data.test_images import encoded
from tests.data.waves import tone
from tfmmrec.encoders.frames import decode_frames
from tfmmrec.encoders.pictures import decode_pictures
from tfmmrec.encoders.waveforms import decode_waveforms

WHOLE_FILES = {
    "image": [
        encoded("PNG"),
        encoded("JPEG", quality=90),
        encoded("GIF", "P"),
        encoded("BMP"),
        encoded("WEBP"),
        encoded("PNG", "P"),
        encoded("JPEG", "CMYK"),
    ],
    "audio": [tone(440, seconds=0.1), tone(880, 44_100, seconds=0.05, num_channels=2)],
    "video": [mjpeg([10, 90, 200]), animation([200, 30, 90])],
}
"""Kind of feature -> whole files."""


def decoder_of(kind: str) -> Callable[[list[bytes]], np.ndarray]:
    """Decodes a batch in a graph as the kind's encoder does: files -> which of them are there, `[batch]`."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def decode(raw: tf.Tensor) -> tf.Tensor:
        if kind == "image":
            return decode_pictures(raw, 8, 8)[1]
        if kind == "audio":
            return decode_waveforms(raw, 1600)[1] > 0
        return tf.reduce_any(decode_frames(raw, 4, 8, 8)[1], axis=1)

    return lambda files: decode(tf.constant(files)).numpy()
