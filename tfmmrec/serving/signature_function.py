"""A tf.function whose optional inputs have defaults that TensorFlow Serving fills in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from tfmmrec.serving.inputs import Input

Body = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]


def signature_function(
    name: str, inputs: Mapping[str, Input], required: Sequence[str], body: Body
) -> tf.types.experimental.PolymorphicFunction:
    """Makes a signature.

    TensorFlow writes a tf.function's default arguments, where they are tensors, into `SignatureDef.defaults`. A
    default has one row whatever the batch, and so may an input that is sent: one row counts for the whole batch. The
    required inputs say how large that is.

    A server that batches requests joins them along the first dimension, which must then be the same in all inputs
    of a request: for a request of several rows, send every input, or leave batching off.

    Args:
        name: of the signature.
        inputs: name -> input.
        required: the names without a default, at least one.
        body: gets every input `[batch, ...]` by name, and returns the outputs by name.
    """
    ordered = [inputs[key] for key in (*required, *(key for key in inputs if key not in required))]

    def function(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        given = {made.name: tensor for made, tensor in zip(ordered, tensors, strict=True)}
        rows = {key: tf.shape(tensor)[0] for key, tensor in given.items()}
        batch = rows[required[0]]
        for key in required[1:]:
            batch = tf.where(batch == 1, rows[key], batch)
        with tf.control_dependencies([_checked(rows, batch)]):
            return body({key: spread(tensor, batch) for key, tensor in given.items()})

    parameters = [
        inspect.Parameter(
            made.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if made.name in required else tf.constant(made.default, made.spec.dtype),
        )
        for made in ordered
    ]
    function.__name__ = name
    function.__signature__ = inspect.Signature(parameters)  # what tf.function reads names and defaults from
    return tf.function(function, input_signature=[made.spec for made in ordered], autograph=False)


def _checked(rows: Mapping[str, tf.Tensor], batch: tf.Tensor) -> tf.Operation:
    """Refuses inputs of another size in words that a client can read: TensorFlow Serving looks at no shapes."""
    found = tf.stack(list(rows.values()))
    fits = tf.reduce_all((found == 1) | (found == batch))
    wanted = f"every input must have one row, or as many as the largest; the rows of {', '.join(rows)} are"
    return tf.debugging.Assert(fits, [wanted, found], summarize=len(rows))


def spread(tensor: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    """`[1 or batch, ...]` -> `[batch, ...]`; any other size is an error of the request."""
    shape = tf.concat([[batch], tf.shape(tensor)[1:]], axis=0)
    wide = tf.broadcast_to(tensor, shape)
    wide.set_shape([None, *tensor.shape[1:]])
    return wide
