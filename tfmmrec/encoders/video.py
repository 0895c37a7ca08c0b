"""Videos: some frames through a network for pictures, and what it sees pooled over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.frame_pooling import FramePooling
from tfmmrec.encoders.frames import decode_frames
from tfmmrec.encoders.moving_frames import MovingFrames
from tfmmrec.encoders.picture_augmentation import PictureAugmentation
from tfmmrec.types import Embedded, UsageError

_MAX_FRAMES = 64


@tf.keras.utils.register_keras_serializable("tfmmrec")
class VideoEncoder(Encoder):
    """Evenly spread frames, each through an encoder of pictures, and their vectors pooled over time.

    Args:
        dim: size of the embedding.
        num_frames: how many frames are looked at, 1 to 64.
        height: frames are resized to this many pixels,
        width: by this many; both are the frame encoder's own where one is given.
        pooling: mean, attention or gru, see `FramePooling`.
        filters: channels of the small network's convolutions, where no frame encoder is given.
        mode: `cached` (trained for a bounded while before the towers, then run once for each candidate) or `finetuned`
            (trained in every step with the rest).
        augmentation: none, flip, crop or full, see `PictureAugmentation`: how videos are changed at random whenever
            this network is trained on them, all frames of one alike.
        frame_encoder: of pictures, with `height`, `width` and vectors of size `dim`; when None a small network
            that sees what moves, `MovingFrames`.

    The frames that a short video lacks are left out of every pooling. The sequence is the frames' vectors.
    """

    presence = "has_video"

    def __init__(
        self,
        dim: int,
        num_frames: int = 8,
        height: int = 64,
        width: int = 64,
        pooling: Literal["mean", "attention", "gru"] = "mean",
        filters: Sequence[int] = (8, 16, 32, 64),
        mode: Literal["cached", "finetuned"] = "cached",
        augmentation: Literal["none", "flip", "crop", "full"] = "none",
        frame_encoder: Encoder | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if mode not in ("cached", "finetuned"):
            raise UsageError(f"mode (video_mode) must be cached or finetuned for the small video network, got {mode!r}")
        if not 1 <= num_frames <= _MAX_FRAMES:
            raise UsageError(f"num_frames must lie in 1 to {_MAX_FRAMES}, got {num_frames}")
        self.mode = mode
        self.dim = dim
        self.num_frames = num_frames
        self.pooling = pooling
        self.filters = tuple(filters)
        self.frame_encoder = frame_encoder or MovingFrames(dim, height, width, filters, mode, name="frame")
        self.augmentation = PictureAugmentation(augmentation, name="augmentation")
        self.height, self.width = self.frame_encoder.height, self.frame_encoder.width
        self.over_time = FramePooling(dim, num_frames, pooling, name="pooling")

    def build(self, input_shape=None):
        if not self.frame_encoder.built:
            self.frame_encoder.build(None)
        if not self.over_time.built:
            self.over_time.build()
        super().build(input_shape)

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.string)

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Bytes of MJPEG, animated GIF or pictures `[batch]` -> frames.

        Returns:
            `frames`, uint8 `[batch, num_frames, height, width, 3]`, `frame_mask`, bool `[batch, num_frames]`, which of
            them are there, and `has_video`, bool `[batch]`.
        """
        frames, mask = decode_frames(raw, self.num_frames, self.height, self.width)
        return {"frames": frames, "frame_mask": mask, "has_video": tf.reduce_any(mask, axis=1)}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        mask, present = inputs["frame_mask"], inputs["has_video"]
        pictures = tf.reshape(inputs["frames"], [-1, self.height, self.width, 3])  # [batch * frames, ...]
        pictures = self.augmentation(pictures, training=training, repeats=self.num_frames)
        if isinstance(self.frame_encoder, MovingFrames):
            clips = tf.reshape(pictures, [-1, self.num_frames, self.height, self.width, 3])
            seen = self.frame_encoder(clips, mask)
        else:
            flat = tf.reshape(mask, [-1])
            seen = self.frame_encoder({"pixels": pictures, "has_pixels": flat, "given": flat}, training=training)[
                "vector"
            ]
        frames = tf.reshape(tf.cast(seen, self.compute_dtype), [-1, self.num_frames, self.dim])
        vector = self.over_time(frames, mask) * tf.cast(present, self.compute_dtype)[:, None]
        return {"vector": vector, "present": present, "sequence": frames, "sequence_mask": mask}

    def get_config(self):
        small = isinstance(self.frame_encoder, MovingFrames)
        return super().get_config() | {
            "dim": self.dim,
            "num_frames": self.num_frames,
            "height": self.height,
            "width": self.width,
            "pooling": self.pooling,
            "filters": list(self.filters),
            "mode": self.mode,
            "augmentation": self.augmentation.manner,
            "frame_encoder": None if small else tf.keras.layers.serialize(self.frame_encoder),
        }

    @classmethod
    def from_config(cls, config):
        encoder = config.get("frame_encoder")
        return cls(**(config | {"frame_encoder": None if encoder is None else tf.keras.layers.deserialize(encoder)}))
