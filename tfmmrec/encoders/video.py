"""Videos: some frames through the network for pictures, and what it sees pooled over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.frames import decode_frames
from tfmmrec.encoders.image import ImageEncoder
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
        pooling: `mean` of the frames' vectors; `attention`, a mean with the weights softmax(wᵀ tanh(V h)) (Ilse et al.
            2018, "Attention-based deep multiple instance learning"); or the last state of a `gru` over them, in order.
        filters: channels of the small network's convolutions, where no frame encoder is given.
        mode: `cached` (trained for a bounded while before the towers, then run once for each candidate) or `finetuned`
            (trained in every step with the rest).
        augmentation: none, flip, crop or full, see `PictureAugmentation`: how videos are changed at random whenever
            this network is trained on them, all frames of one alike.
        frame_encoder: of pictures, with `height`, `width` and vectors of size `dim`; a small `ImageEncoder` when None.

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
            raise UsageError(f"mode must be cached or finetuned for the small video network, got {mode!r}")
        if pooling not in ("mean", "attention", "gru"):
            raise UsageError(f"pooling must be mean, attention or gru, got {pooling!r}")
        if not 1 <= num_frames <= _MAX_FRAMES:
            raise UsageError(f"num_frames must lie in 1 to {_MAX_FRAMES}, got {num_frames}")
        self.mode = mode
        self.dim = dim
        self.num_frames = num_frames
        self.pooling = pooling
        self.filters = tuple(filters)
        self.frame_encoder = frame_encoder or ImageEncoder(dim, height, width, filters, mode, name="frame")
        self.augmentation = PictureAugmentation(augmentation, name="augmentation")
        self.height, self.width = self.frame_encoder.height, self.frame_encoder.width
        if pooling == "attention":
            self.hidden = tf.keras.layers.Dense(dim, activation="tanh", name="hidden")
            self.importance = tf.keras.layers.Dense(1, use_bias=False, name="importance")
        elif pooling == "gru":
            self.recurrence = tf.keras.layers.GRU(dim, name="recurrence")

    def build(self, input_shape=None):
        if not self.frame_encoder.built:
            self.frame_encoder.build(None)
        if self.pooling == "attention":
            self.hidden.build([None, self.num_frames, self.dim])
            self.importance.build([None, self.num_frames, self.dim])
        elif self.pooling == "gru":
            self.recurrence.build(tf.TensorShape([None, self.num_frames, self.dim]))
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
        flat = tf.reshape(mask, [-1])
        seen = self.frame_encoder({"pixels": pictures, "has_pixels": flat, "given": flat}, training=training)["vector"]
        frames = tf.reshape(tf.cast(seen, self.compute_dtype), [-1, self.num_frames, self.dim])
        vector = self._pooled(frames, mask) * tf.cast(present, self.compute_dtype)[:, None]
        return {"vector": vector, "present": present, "sequence": frames, "sequence_mask": mask}

    def _pooled(self, frames: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """The frames' vectors `[batch, frames, dim]`, those that are there -> `[batch, dim]`."""
        if self.pooling == "gru":
            some = mask | (tf.range(self.num_frames) == 0)[None, :]  # a row without any frame is not looked at anyway
            return self.recurrence(frames, mask=some)
        logits = tf.zeros_like(frames[..., 0], tf.float32)  # [batch, frames]
        if self.pooling == "attention":
            logits = tf.cast(self.importance(self.hidden(frames)), tf.float32)[..., 0]
        shares = tf.nn.softmax(tf.where(mask, logits, -1e9), axis=1)
        return tf.reduce_sum(frames * tf.cast(shares, frames.dtype)[..., None], axis=1)

    def get_config(self):
        small = type(self.frame_encoder) is ImageEncoder and self.frame_encoder.name == "frame"
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
