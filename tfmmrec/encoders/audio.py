"""Sounds through a small convolutional network over their spectrogram, trained on the catalogue: no download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from tfmmrec.encoders.convolutional import ConvolutionalEncoder
from tfmmrec.encoders.rhythm import onset_autocorrelation
from tfmmrec.encoders.waveforms import FRAME, HOP, RATE, decode_waveforms, log_mel, mfcc, num_frames_of
from tfmmrec.types import Embedded, UsageError

_MAX_SECONDS = 30
_LAG_SECONDS = 2.0  # two beats of a slow piece
_HIDDEN = 64  # numbers between the rhythm and the embedding
_SCALE = {"log_mel": 4.0, "mfcc": 20.0}  # what is usual becomes about 1


@tf.keras.utils.register_keras_serializable("tfmmrec")
class AudioEncoder(ConvolutionalEncoder):
    """The beginning of a sound as a picture of frequencies over time, through `ConvolutionalEncoder`'s convolutions.

    They see a third of a second at once: timbre and pitch, but no tempo. So a rectified layer over the rhythm,
    `onset_autocorrelation` up to two seconds (or half of what is heard), is added before the embedding.

    Args:
        dim: size of the embedding.
        seconds: how much of a sound is heard, from its start.
        features: `log_mel` (logarithms of the magnitudes in bands of the mel scale) or `mfcc` (a cosine transform of
            them, Davis & Mermelstein 1980).
        num_bands: of the mel scale.
        num_coefficients: of them that mfcc keeps.
        filters: channels of the convolutions; each halves times and bands.
        mode: `cached` (trained for a bounded while before the towers, then run once for each candidate) or `finetuned`
            (trained in every step with the rest).

    A shorter sound is pooled over its own length. The sequence is the last feature map's cells, in the order of time.
    """

    presence = "has_sound"

    def __init__(
        self,
        dim: int,
        seconds: float = 4.0,
        features: Literal["log_mel", "mfcc"] = "log_mel",
        num_bands: int = 64,
        num_coefficients: int = 20,
        filters: Sequence[int] = (16, 32, 64, 128),
        mode: Literal["cached", "finetuned"] = "cached",
        **kwargs,
    ):
        if features not in _SCALE:
            raise UsageError(f"features must be log_mel or mfcc, got {features!r}")
        if not 1 <= num_coefficients <= num_bands:
            raise UsageError(f"num_coefficients must lie in 1 to num_bands={num_bands}, got {num_coefficients}")
        least = (FRAME + (2 ** len(filters) - 1) * HOP) / RATE
        if not least <= seconds <= _MAX_SECONDS:
            raise UsageError(
                f"seconds must lie in {least:g} to {_MAX_SECONDS} for {len(filters)} convolutions, got {seconds}"
            )
        self.num_samples = round(seconds * RATE)
        self.num_frames = num_frames_of(self.num_samples)
        width = num_bands if features == "log_mel" else num_coefficients
        if width < 2 ** len(filters):
            raise UsageError(
                f"{len(filters)} convolutions halve {width} bands to less than one; use at least "
                f"{2 ** len(filters)}, or fewer filters"
            )
        super().__init__(dim, (self.num_frames, width, 1), filters, mode, "audio", **kwargs)
        self.seconds = seconds
        self.features = features
        self.num_bands = num_bands
        self.num_coefficients = num_coefficients
        self.num_lags = min(round(_LAG_SECONDS * RATE / HOP), self.num_frames // 2)
        self.rhythm = tf.keras.layers.Dense(_HIDDEN, activation="relu", name="rhythm")
        self.rhythm_projection = tf.keras.layers.Dense(dim, use_bias=False, name="rhythm_projection")

    def build(self, input_shape=None):
        self.rhythm.build([None, self.num_lags])
        self.rhythm_projection.build([None, _HIDDEN])
        super().build(input_shape)

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.string)

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Bytes of WAV files `[batch]` -> what is heard, and of how many frames it comes.

        Returns:
            `bands`, float16 `[batch, num_frames, bands]` (or coefficients), `num_frames`, int32 `[batch]`, at least 1
            where there is a sound, `lags`, float16 `[batch, num_lags]`, its rhythm, and `has_sound`, bool `[batch]`.
        """
        waveforms, lengths = decode_waveforms(raw, self.num_samples)
        bands = log_mel(waveforms, self.num_bands)
        present = tf.strings.length(raw) > 0
        frames = tf.where(present, tf.maximum(1 + (lengths - FRAME) // HOP, 1), 0)
        lags = tf.cast(onset_autocorrelation(bands, frames, self.num_lags), tf.float16)
        if self.features == "mfcc":
            bands = mfcc(bands, self.num_coefficients)
        bands = tf.ensure_shape(tf.cast(bands, tf.float16), [None, *self.grid[:2]])
        return {"bands": bands, "num_frames": frames, "lags": lags, "has_sound": present}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        x = tf.cast(inputs["bands"], self.compute_dtype)[..., None] / _SCALE[self.features]  # [batch, frames, bands, 1]
        num_rows = -(-self.num_frames // 2 ** len(self.filters))
        starts = tf.range(num_rows) * 2 ** len(self.filters)  # the first frame that a row of the last feature map sees
        found = self.embed_grid(x, inputs["has_sound"], starts[None, :] < inputs["num_frames"][:, None])
        lags = tf.cast(inputs["lags"], self.compute_dtype)
        rhythm = self.rhythm_projection(self.rhythm(lags)) * tf.cast(inputs["has_sound"], self.compute_dtype)[:, None]
        return found | {"vector": found["vector"] + rhythm}

    def get_config(self):
        return super().get_config() | {
            "seconds": self.seconds,
            "features": self.features,
            "num_bands": self.num_bands,
            "num_coefficients": self.num_coefficients,
        }
