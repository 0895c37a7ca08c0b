"""How a sound repeats itself in time: the autocorrelation of its onsets, with stock ops."""

from __future__ import annotations

import tensorflow as tf


def onset_autocorrelation(bands: tf.Tensor, num_frames: tf.Tensor, num_lags: int) -> tf.Tensor:
    """How much what begins in a sound begins again after 1 to `num_lags` frames: 1 for the same, 0 for nothing alike.

    The strength of the onsets is the mean over the bands of what each gains from one frame to the next (Dixon 2006,
    "Onset detection revisited": spectral flux). Of it, less its mean, the autocorrelation over the whole sound: the
    autocorrelation tempogram (Grosche, Müller & Kurth 2010, "Cyclic tempogram") with one window. A beat every 0.5 s
    gives a peak at that lag, and at its multiples.

    Args:
        bands: `[batch, frames, bands]`, as `log_mel` gives them.
        num_frames: int `[batch]`, how many of the frames are there.
        num_lags: fewer than `frames`.

    Returns:
        float32 `[batch, num_lags]`, at most 1; zero for a sound in which nothing begins.
    """
    total = bands.shape[1]
    bands = tf.cast(bands, tf.float32)
    there = tf.cast(tf.range(1, total)[None, :] < num_frames[:, None], tf.float32)
    onsets = tf.reduce_mean(tf.nn.relu(bands[:, 1:] - bands[:, :-1]), axis=2) * there  # [batch, frames - 1]
    number = tf.maximum(tf.reduce_sum(there, axis=1, keepdims=True), 1.0)
    onsets = (onsets - tf.reduce_sum(onsets, axis=1, keepdims=True) / number) * there
    length = 2 ** (2 * total - 1).bit_length()  # so long that the end does not meet the beginning
    spectrum = tf.signal.rfft(onsets, [length])
    found = tf.signal.irfft(spectrum * tf.math.conj(spectrum), [length])[:, : num_lags + 1]
    energy = found[:, :1]
    return tf.where(energy > 1e-6, found[:, 1:] / tf.maximum(energy, 1e-6), 0.0)
