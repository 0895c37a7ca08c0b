"""A pretrained encoder of sounds that is a reusable TF2 SavedModel, such as VGGish or YAMNet on TF-Hub."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.encoders.saved_model import Mode, SavedModelEncoder
from tfmmrec.encoders.waveforms import RATE, decode_waveforms
from tfmmrec.types import DataError, Embedded, UsageError

_MAX_SECONDS = 30


@tf.keras.utils.register_keras_serializable("tfmmrec")
class WaveformModelEncoder(SavedModelEncoder):
    """A reusable SavedModel of one waveform: floats in [-1, 1] `[samples]` at 16 kHz -> `[frames, dim]`.

    That is the signature of VGGish on TF-Hub (Hershey et al. 2017, "CNN architectures for large-scale audio
    classification"). Of a model that answers with several arrays, as YAMNet does (scores, embeddings, spectrogram), it
    is the second one. The frames' mean is the vector. A sound of less than a second is filled up with silence, for
    these models' frames are about as long.

    Args:
        handle: a TF-Hub handle or a directory.
        seconds: how much of a sound is heard, from its start, 1 to 30.
        mode: `frozen` (runs in every step, weights fixed), `cached` (weights fixed, run once for each candidate) or
            `finetuned` (weights trained with the rest).

    Raises:
        DataError: the handle cannot be loaded, or takes no waveform: what was found and what is needed.
    """

    kinds = ("audio",)

    def __init__(self, handle: str, seconds: float = 10.0, mode: Mode = "cached", **kwargs):
        if not 1.0 <= seconds <= _MAX_SECONDS:
            raise UsageError(f"seconds must lie in 1 to {_MAX_SECONDS} for a pretrained audio encoder, got {seconds}")
        super().__init__(handle, "audio", mode, **kwargs)
        self.seconds = seconds
        self.num_samples = round(seconds * RATE)
        try:
            frames = self._run(self._frames_of, tf.zeros([RATE]))
        except (ValueError, TypeError, IndexError, tf.errors.InvalidArgumentError) as error:
            raise DataError(
                f"{self.handle}: expected a model of one waveform, float32 [samples] at 16 kHz -> [frames, dim], as "
                f"VGGish is; calling it so failed: {str(error).splitlines()[0]}"
            ) from error
        if len(frames.shape) != 2:
            raise DataError(f"{self.handle}: expected [frames, dim] of a waveform, found the shape {frames.shape}")
        self.dim = int(frames.shape[-1])

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Bytes of WAV files `[batch]` -> their beginnings at 16 kHz.

        Returns:
            `samples`, int16 `[batch, num_samples]`, `num_samples`, int32 `[batch]`, and `given`, bool `[batch]`.
        """
        waveforms, lengths = decode_waveforms(raw, self.num_samples)
        samples = tf.cast(tf.round(tf.clip_by_value(waveforms, -1.0, 1.0) * 32767.0), tf.int16)
        return {"samples": samples, "num_samples": lengths, "given": tf.strings.length(raw) > 0}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        present = inputs["given"]
        sounds = (inputs["samples"], inputs["num_samples"])
        vector = self._run(self._vectors, sounds, training=bool(training) and self.mode == "finetuned")
        vector = tf.cast(vector, self.compute_dtype)
        return {"vector": vector * tf.cast(present, vector.dtype)[:, None], "present": present}

    def _vectors(self, sounds: tuple[tf.Tensor, tf.Tensor], training: bool) -> tf.Tensor:
        def of_one(sound: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            samples, length = sound
            waveform = tf.cast(samples, tf.float32)[: tf.maximum(length, RATE)] / 32767.0
            frames = self._frames_of(waveform, training)
            number = tf.maximum(tf.cast(tf.shape(frames)[0], tf.float32), 1.0)
            return tf.ensure_shape(tf.reduce_sum(tf.cast(frames, tf.float32), axis=0) / number, [self.dim])

        return tf.map_fn(of_one, sounds, fn_output_signature=tf.TensorSpec([self.dim], tf.float32))

    def _frames_of(self, waveform: tf.Tensor, training: bool = False) -> tf.Tensor:
        found = self.module(waveform, training=training)
        if isinstance(found, dict):
            return found["default"]
        return found[1] if isinstance(found, (tuple, list)) else found

    def get_config(self):
        kept = super().get_config()
        return {name: kept[name] for name in kept if name not in ("input_kind", "height", "width")} | {
            "seconds": self.seconds
        }
