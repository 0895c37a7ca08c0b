"""Requests as serialized tf.Example protos."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.serving.inputs import Input


def parse_examples(serialized: tf.Tensor, inputs: Mapping[str, Input]) -> dict[str, tf.Tensor]:
    """Reads the inputs of a signature from tf.Examples, whose features have the inputs' names.

    A feature that is left out is missing, or the default of a request's number. Strings are bytes_list, whole numbers
    (`k`, `cap`) int64_list, all others float_list; lists need no padding, and what is longer than the signature's
    list is cut off.

    Args:
        serialized: string `[batch]`.
        inputs: of the signature.

    Returns:
        Every input, `[batch, ...]`.
    """
    features = {name: _feature(made) for name, made in inputs.items()}
    parsed = tf.io.parse_example(serialized, features)
    return {name: _as_input(parsed[name], made) for name, made in inputs.items()}


def _is_list(made: Input) -> bool:
    return made.spec.dtype == tf.string and made.spec.shape.rank == 2


def _feature(made: Input):
    if _is_list(made):
        return tf.io.RaggedFeature(tf.string)
    dtype = tf.int64 if made.spec.dtype.is_integer else made.spec.dtype
    return tf.io.FixedLenFeature(
        made.spec.shape[1:], dtype, made.default[0].tolist() if made.default.ndim > 1 else made.default[0]
    )


def _as_input(tensor, made: Input) -> tf.Tensor:
    if _is_list(made):
        return tensor.to_tensor("", shape=[None, made.spec.shape[1]])
    return tf.cast(tensor, made.spec.dtype)
