"""From the bytes of WAV files to samples of one rate and number, and to what is heard in them, with stock ops."""

from __future__ import annotations

import tensorflow as tf

RATE = 16_000
"""Samples a second of all waveforms: half of it, 8 kHz, is the highest frequency that is kept."""
FRAME, HOP = 400, 160
"""Samples of a window and between two: 25 and 10 ms."""
_FFT = 512
_MIN_HZ, _MAX_HZ = 125.0, 7_500.0
_OFFSET = 0.01  # added to a band's magnitude: the logarithm of silence


def num_frames_of(num_samples: int) -> int:
    """How many whole windows lie in so many samples."""
    return 1 + (num_samples - FRAME) // HOP


def decode_waveforms(raw: tf.Tensor, num_samples: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Bytes of WAV files (PCM of 16 bits) -> their beginnings in [-1, 1] at 16 kHz, and how much of it is there.

    Channels are averaged. Another rate is changed by a windowed sinc (Lanczos of five lobes), which lets pass what lies
    below half of the lower one of the two rates. What a shorter sound lacks is zero; an empty string is a missing one.

    Args:
        raw: strings `[batch]`.
        num_samples: of what comes out.

    Returns:
        float32 `[batch, num_samples]`, and int32 `[batch]`, how many of them come from the file.
    """

    def decode(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        frames, rate = tf.audio.decode_wav(data)  # [frames, channels]
        rate = tf.cast(tf.maximum(rate, 1), tf.int64)
        wanted = tf.maximum((num_samples * rate + RATE // 2) // RATE, 1)  # in the file's rate
        frames = frames[:wanted]
        there = tf.shape(frames, out_type=tf.int64)[0]
        mono = tf.pad(tf.reduce_mean(frames, axis=1), [[0, wanted - there]])
        line = mono[None, :, None]  # a picture of one row, [1, wanted, 1]
        resized = tf.image.resize(line, [1, num_samples], method="lanczos5", antialias=True)
        length = tf.minimum((there * RATE + rate - 1) // rate, num_samples)
        return tf.reshape(resized, [num_samples]), tf.cast(length, tf.int32)

    def one(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cond(
            tf.strings.length(data) > 0, lambda: decode(data), lambda: (tf.zeros([num_samples]), tf.constant(0))
        )

    spec = (tf.TensorSpec([num_samples], tf.float32), tf.TensorSpec([], tf.int32))
    return tf.map_fn(one, raw, fn_output_signature=spec)


def log_mel(waveforms: tf.Tensor, num_bands: int) -> tf.Tensor:
    """Logarithms of the magnitudes in bands of the mel scale, above those of silence.

    Windows of 25 ms every 10 ms (Hann), bands between 125 and 7,500 Hz, log(magnitude + 0.01), as VGGish has them
    (Hershey et al. 2017, "CNN architectures for large-scale audio classification"); here less log(0.01), so that
    silence and what is missing are zero.

    Args:
        waveforms: `[batch, num_samples]` at 16 kHz.
        num_bands: how many bands.

    Returns:
        float32 `[batch, frames, num_bands]`.
    """
    spectrum = tf.abs(tf.signal.stft(waveforms, FRAME, HOP, _FFT))  # [batch, frames, _FFT / 2 + 1]
    to_mel = tf.signal.linear_to_mel_weight_matrix(num_bands, _FFT // 2 + 1, RATE, _MIN_HZ, _MAX_HZ)
    return tf.math.log(tf.tensordot(spectrum, to_mel, 1) / _OFFSET + 1.0)


def mfcc(log_bands: tf.Tensor, num_coefficients: int) -> tf.Tensor:
    """Mel-frequency cepstral coefficients (Davis & Mermelstein 1980): a cosine transform of the bands, its beginning.

    Args:
        log_bands: `[batch, frames, num_bands]`, from `log_mel`.
        num_coefficients: how many are kept.

    Returns:
        float32 `[batch, frames, num_coefficients]`.
    """
    return tf.signal.mfccs_from_log_mel_spectrograms(log_bands)[..., :num_coefficients]
