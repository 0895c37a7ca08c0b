"""A pretrained encoder of videos that is a reusable TF2 SavedModel: of whole clips, or of pictures, frame by frame."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from tfmmrec.encoders.frame_pooling import FramePooling
from tfmmrec.encoders.frames import decode_frames, frame_pictures
from tfmmrec.encoders.pictures import decode_pictures
from tfmmrec.encoders.saved_model import Mode, SavedModelEncoder
from tfmmrec.encoders.taken_inputs import clips_among, pictures_among, taken_inputs
from tfmmrec.types import DataError, Embedded, UsageError

_MAX_FRAMES = 64


@tf.keras.utils.register_keras_serializable("tfmmrec")
class VideoModelEncoder(SavedModelEncoder):
    """A reusable SavedModel of clips, floats in [0, 1] `[batch, frames, height, width, 3]` -> `[batch, dim]`.

    That is the signature of MoViNet on TF-Hub (Kondratyuk et al. 2021, "MoViNets: Mobile video networks for efficient
    video recognition"), which takes its clip under a name. Of a video with fewer frames some stand several times in a
    row. A model of pictures looks at each frame by itself instead, and the frames' vectors are pooled over time; those
    of frames that a short video lacks are left out. One that `tfmmrec encoder export` wrote brings `preprocess` along.

    Args:
        handle: a TF-Hub handle or a directory.
        num_frames: how many frames are looked at, evenly spread, 1 to 64; the model's own number where it has one.
        pooling: mean, attention or gru, see `FramePooling`, for a model of pictures; one of clips pools by itself.
        mode: `frozen` (runs in every step, weights fixed), `cached` (weights fixed, run once for each candidate; for
            pooling=mean only, since the others learn) or `finetuned` (weights trained with the rest).
        height: frames are resized to this many pixels (without halves only); the model's own size where it has one,
        width: by this many.
        augmentation: see `SavedModelEncoder`; all frames of a video are changed alike.

    Raises:
        DataError: the handle cannot be loaded, or takes neither clips nor pictures: what was found and what is needed.
        UsageError: an argument out of range, or a pooling where there is none or none can be learned.
    """

    kinds = ("video",)

    def __init__(
        self,
        handle: str,
        num_frames: int = 8,
        pooling: Literal["mean", "attention", "gru"] = "mean",
        mode: Mode = "cached",
        height: int = 224,
        width: int = 224,
        **kwargs,
    ):
        if not 1 <= num_frames <= _MAX_FRAMES:
            raise UsageError(f"num_frames must lie in 1 to {_MAX_FRAMES}, got {num_frames}")
        super().__init__(handle, "video", mode, height, width, **kwargs)
        self.num_frames = num_frames
        self._look_at_inputs()
        if self.takes_clips and pooling != "mean":
            raise UsageError(
                f"{self.handle}: takes whole clips and pools over time by itself, so pooling={pooling!r} "
                f"(video_pooling) has no meaning; leave it out"
            )
        if mode == "cached" and pooling != "mean":
            raise UsageError(
                f"pooling={pooling!r} (video_pooling) learns in every step how frames are pooled, but what a cached "
                f"encoder gives stays as it is: use mode 'frozen' or 'finetuned' (pretrained_mode), or pooling='mean'"
            )
        self.dim = self._probed_dim()
        self.over_time = None if self.takes_clips else FramePooling(self.dim, self.num_frames, pooling, name="pooling")
        self.pooling = pooling
        if pooling != "mean" and self.centering is not None:
            raise UsageError(
                f"pooling={pooling!r} (video_pooling) learns in every step how frames are pooled, so the vectors have "
                f"no mean to be taken off: leave out centered (pretrained_centered), or use pooling='mean'"
            )

    def _look_at_inputs(self) -> None:
        """Whether it takes clips or pictures, and of which size."""
        loaded = self.module.resolved_object
        self._way = None
        if self.has_halves:
            tensors = loaded.preprocess(tf.constant([""]))
            self.takes_clips = "clip" in tensors
            if self.takes_clips:
                self.num_frames, self.height, self.width = tensors["clip"].shape[1:4]
            return
        taken = taken_inputs(loaded)
        clips, pictures = clips_among(taken), pictures_among(taken)
        if not clips and not pictures:
            found = ", ".join(f"{way.spec.dtype.name} {way.spec.shape}" for way in taken) or "none that is one tensor"
            raise DataError(
                f"{self.handle}: expected a model of clips, float32 [batch, frames, height, width, 3], or of pictures, "
                f"float32 [batch, height, width, 3]; its inputs are {found}"
            )
        self._way, self.takes_clips = (clips or pictures)[0], bool(clips)
        shape = self._way.spec.shape
        own = [None] * 3 if shape.rank is None else [None, *shape[:-1]][-3:] if not clips else shape[1:4]
        sizes = (self.num_frames, self.height, self.width)
        self.num_frames, self.height, self.width = (one or other for one, other in zip(own, sizes, strict=True))

    def _probed_dim(self) -> int:
        blank = tf.constant([""])
        if self.has_halves:
            tensors = self.module.resolved_object.preprocess(blank)
        elif self.takes_clips:
            tensors = {"clip": tf.zeros([1, self.num_frames, self.height, self.width, 3], tf.uint8)}
        else:
            tensors = {"pixels": tf.zeros([1, self.height, self.width, 3], tf.uint8)}
        what = "clips" if self.takes_clips else "pictures"
        try:
            vector = self._run(self._vectors, tensors, training=False)
            shape = vector.shape
        except (ValueError, TypeError, KeyError, AttributeError, tf.errors.OpError) as error:
            raise DataError(
                f"{self.handle}: expected a model that makes a vector of {what}; calling it so failed: "
                f"{str(error).splitlines()[0]}"
            ) from error
        if shape.rank != 2:
            raise DataError(f"{self.handle}: expected [batch, dim] of {what}, found the shape {shape}")
        return int(shape[1])

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Bytes of MJPEG, animated GIF or pictures `[batch]` -> what the model takes, and `given`, bool `[batch]`.

        Returns:
            Of a model of clips `clip`, uint8 `[batch, num_frames, height, width, 3]`; of one of pictures its tensors
            `[batch, num_frames, ...]`, and `frame_mask`, bool `[batch, num_frames]`, which of the frames are there.
        """
        loaded, size = self.module.resolved_object, (self.height, self.width)
        if self.takes_clips:
            if self.has_halves:
                return loaded.preprocess(raw) | {"given": tf.strings.length(raw) > 0}
            clip, mask = decode_frames(raw, self.num_frames, *size, repeat=True)
            return {"clip": clip, "given": tf.reduce_any(mask, axis=1)}
        pictures, mask = frame_pictures(raw, self.num_frames)
        flat = tf.reshape(pictures, [-1])  # [batch * frames]
        tensors = loaded.preprocess(flat) if self.has_halves else {"pixels": decode_pictures(flat, *size)[0]}
        by_video = {name: tf.reshape(x, [-1, self.num_frames, *x.shape[1:]]) for name, x in tensors.items()}
        return by_video | {"frame_mask": mask, "given": tf.reduce_any(mask, axis=1)}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        present = inputs["given"]
        tensors = {name: tensor for name, tensor in inputs.items() if name not in ("given", "frame_mask")}
        for name in {"clip", "pixels"} & set(tensors):
            frames = tf.reshape(tensors[name], [-1, *tensors[name].shape[2:]])  # [batch * frames, height, width, 3]
            frames = self.augmentation(frames, training=training, repeats=self.num_frames)
            tensors[name] = tf.reshape(frames, [-1, *tensors[name].shape[1:]])
        found = self._run(self._of_videos, tensors, training=bool(training) and self.mode == "finetuned")
        there = tf.cast(present, self.compute_dtype)[:, None]
        if self.takes_clips:
            return {"vector": tf.cast(found, self.compute_dtype) * there, "present": present}
        mask = inputs["frame_mask"]
        seen = tf.cast(found, self.compute_dtype) * tf.cast(mask, self.compute_dtype)[..., None]  # [batch, frames, dim]
        vector = tf.cast(self.over_time(seen, mask), self.compute_dtype) * there
        return {"vector": vector, "present": present, "sequence": seen, "sequence_mask": mask}

    def _of_videos(self, tensors: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Tensors `[batch, ...]` -> `[batch, dim]`, or of pictures `[batch, frames, dim]`."""
        frames = [] if self.takes_clips else [self.num_frames]
        if self.mode == "cached":  # a video at a time: many of them at once need much memory

            def of_one(video: dict[str, tf.Tensor]) -> tf.Tensor:
                rows = tf.nest.map_structure(lambda x: x[None], video) if self.takes_clips else video
                return tf.reshape(self._vectors(rows, training), [*frames, self.dim])

            return tf.map_fn(of_one, tensors, fn_output_signature=tf.TensorSpec([*frames, self.dim], tf.float32))
        if not self.takes_clips:
            tensors = {name: tf.reshape(x, [-1, *x.shape[2:]]) for name, x in tensors.items()}
        return tf.reshape(self._vectors(tensors, training), [-1, *frames, self.dim])

    def _vectors(self, tensors: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """What the model makes of clips or pictures `[rows, ...]`: float32 `[rows, dim]`."""
        if self.has_halves:
            return tf.cast(self.module.resolved_object.encode(tensors), tf.float32)
        (raw,) = tensors.values()
        found = self.module(self._way.passed(tf.cast(raw, tf.float32) / 255.0), training=training)
        return tf.cast(found["default"] if isinstance(found, dict) else found, tf.float32)

    def get_config(self):
        kept = super().get_config()
        del kept["input_kind"]
        return kept | {"num_frames": self.num_frames, "pooling": self.pooling}
