"""Tiny reusable SavedModels, as a model hub would hand them out (tensorflow.org/hub/reusable_saved_models)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.pictures import decode_pictures

NUM_BUCKETS = 16


def _write(folder: Path, call, variables: list[tf.Variable], trainable: list[tf.Variable], **functions) -> str:
    model = tf.train.Checkpoint(**functions)
    model.__call__ = call
    model.variables = variables
    model.trainable_variables = trainable
    model.regularization_losses = []
    tf.saved_model.save(model, str(folder))
    return str(folder)


def text_table(dim: int, seed: int = 0) -> np.ndarray:
    """What `write_text_model` looks a text up in, float32 `[NUM_BUCKETS, dim]`."""
    return np.random.default_rng(seed).normal(size=(NUM_BUCKETS, dim)).astype(np.float32)


def write_text_model(
    folder: Path, dim: int = 4, trainable: bool = True, key: str | None = None, max_characters: int = -1
) -> str:
    """Strings `[batch]` -> a row of a table for each, `[batch, dim]`; under `key` of a dict when one is given.

    What stands behind `max_characters` is not read.
    """
    table = tf.Variable(text_table(dim), trainable=trainable, name="table")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def call(texts):
        texts = tf.strings.substr(texts, 0, max_characters)
        vector = tf.gather(table, tf.strings.to_hash_bucket_fast(texts, NUM_BUCKETS))
        return vector if key is None else {key: vector, "other": tf.zeros([1])}

    return _write(folder, call, [table], [table] if trainable else [])


def write_text_halves(folder: Path, dim: int = 4) -> str:
    """As `write_text_model`, with the halves that `tfmmrec encoder export` gives a model."""
    table = tf.Variable(text_table(dim), name="table")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def preprocess(texts):
        return {"rows": tf.cast(tf.strings.to_hash_bucket_fast(texts, NUM_BUCKETS), tf.int32)}

    @tf.function(input_signature=[{"rows": tf.TensorSpec([None], tf.int32, name="rows")}])
    def encode(tensors):
        return tf.gather(table, tensors["rows"])

    call = tf.function(lambda texts: encode(preprocess(texts)), input_signature=preprocess.input_signature)
    return _write(folder, call, [table], [table], preprocess=preprocess, encode=encode)


def write_image_halves(folder: Path, dim: int = 3, size: int = 8) -> str:
    """Picture bytes -> the mean colour through a matrix, `[batch, dim]`, in two halves."""
    kernel = tf.Variable(np.random.default_rng(1).normal(size=(3, dim)).astype(np.float32), name="kernel")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def preprocess(pictures):
        return {"pixels": decode_pictures(pictures, size, size)[0]}

    @tf.function(input_signature=[{"pixels": tf.TensorSpec([None, size, size, 3], tf.uint8, name="pixels")}])
    def encode(tensors):
        return tf.matmul(tf.reduce_mean(tf.cast(tensors["pixels"], tf.float32), axis=[1, 2]) / 255.0, kernel)

    call = tf.function(lambda pictures: encode(preprocess(pictures)), input_signature=preprocess.input_signature)
    return _write(folder, call, [kernel], [kernel], preprocess=preprocess, encode=encode)


def write_waveform_model(folder: Path, dim: int = 3, as_tuple: bool = False, batched: bool = False) -> str:
    """A waveform `[samples]` -> for each half second the loudness times a row, `[frames, dim]`, as VGGish answers."""
    row = tf.Variable(np.arange(1, dim + 1, dtype=np.float32), name="row")

    @tf.function(input_signature=[tf.TensorSpec([None, None] if batched else [None], tf.float32)])
    def call(waveform):
        frames = tf.signal.frame(waveform, 8000, 8000)
        vectors = tf.reduce_mean(tf.abs(frames), axis=-1, keepdims=True) * row
        return (tf.zeros([1]), vectors, tf.zeros([2])) if as_tuple else vectors

    return _write(folder, call, [row], [row])


def write_image_model(folder: Path, dim: int = 3) -> str:
    """Floats in [0, 1] `[batch, height, width, 3]` -> the mean colour through a matrix, `[batch, dim]`."""
    kernel = tf.Variable(np.random.default_rng(1).normal(size=(3, dim)).astype(np.float32), name="kernel")
    bias = tf.Variable(tf.ones([dim]), name="bias")

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def call(pixels):
        return tf.matmul(tf.reduce_mean(pixels, axis=[1, 2]), kernel) + bias

    return _write(folder, call, [kernel, bias], [kernel, bias])


CLIP_KERNEL = np.random.default_rng(2).normal(size=(6, 3)).astype(np.float32)
"""What `write_clip_model` sees: the mean colour, and how it changes over time, `[6, dim]`."""


def write_clip_model(
    folder: Path, shape: tuple[int | None, int | None, int | None] = (None, None, None), key: str | None = None
) -> str:
    """Floats in [0, 1] `[batch, frames, height, width, 3]` -> `[batch, 3]`; the order of the frames counts.

    Args:
        folder: where to.
        shape: frames, height and width, where they are fixed.
        key: what the clip is passed under, as MoViNet takes it.
    """
    kernel = tf.Variable(CLIP_KERNEL, name="kernel")
    clip = tf.TensorSpec([None, *shape, 3], tf.float32)

    @tf.function(input_signature=[clip if key is None else {key: clip}])
    def call(given):
        colours = tf.reduce_mean(given if key is None else given[key], axis=[2, 3])  # [batch, frames, 3]
        times = tf.linspace(0.0, 1.0, tf.shape(colours)[1])[:, None]
        seen = tf.concat([tf.reduce_mean(colours, axis=1), tf.reduce_mean(times * colours, axis=1)], axis=1)
        return tf.matmul(seen, kernel)

    return _write(folder, call, [kernel], [kernel])


def seen_of_clips(frames: np.ndarray) -> np.ndarray:
    """What `write_clip_model` makes of frames, uint8 `[batch, frames, height, width, 3]`."""
    colours = np.asarray(frames, np.float64).mean(axis=(2, 3)) / 255.0
    times = np.linspace(0.0, 1.0, colours.shape[1])[:, None]
    return np.concatenate([colours.mean(axis=1), (times * colours).mean(axis=1)], axis=1) @ CLIP_KERNEL


def write_unusable_model(folder: Path) -> str:
    """A SavedModel with a signature and no `__call__`: it can be served, but not be a layer."""
    module = tf.Module()
    module.serve = tf.function(lambda x: 2.0 * x, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(folder), signatures=module.serve)
    return str(folder)
