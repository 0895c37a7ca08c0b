"""An encoder as two functions, and how these become a reusable SavedModel.

DIR/
  saved_model.pb  variables/  fingerprint.pb  assets/
      __call__(raw)             strings, or bytes of pictures or videos `[batch]` -> `[batch, dim]`
      preprocess(raw)           the same -> numeric tensors of static shape by name; no weights
      encode(tensors)           those -> `[batch, dim]`
      encode_sequence(tensors)  those -> `[batch, n, dim]` and bool `[batch, n]`, of texts only
      variables, trainable_variables, regularization_losses
      layers                    the trainable variables by layer, from the input on
  encoder.json                  see `encoder_card`
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tfmmrec.pretrained.encoder_card import weights_fingerprint, write_card
from tfmmrec.types import DataError

Tensors = dict[str, tf.Tensor]
_PROBE_PIXELS = 8
_NAMES = {"text": "texts", "image": "pictures", "video": "videos"}


@dataclass
class Halves:
    """An encoder as two functions.

    Attributes:
        input_kind: `text` (strings), `image` or `video` (the bytes of pictures or videos).
        preprocess: raw batch `[batch]` -> numeric tensors `[batch, ...]` of static shape by name.
        encode: those -> `[batch, dim]`.
        variables: all weights; what `encode` does not read is left out.
        trainable: those that may be trained.
        tracked: tables and loaded objects that the functions need.
        card: what is known of it, for people.
        encode_sequence: the tensors -> `[batch, n, dim]` and mask `[batch, n]`, where there are tokens.
        layers: those that may be trained by layer, from the input on; none where they are not known.
    """

    input_kind: Literal["text", "image", "video"]
    preprocess: Callable[[tf.Tensor], Tensors]
    encode: Callable[[Tensors], tf.Tensor]
    variables: Sequence[tf.Variable]
    trainable: Sequence[tf.Variable]
    tracked: Sequence[Any] = ()
    card: dict[str, Any] = field(default_factory=dict)
    encode_sequence: Callable[[Tensors], tuple[tf.Tensor, tf.Tensor]] | None = None
    layers: Sequence[Sequence[tf.Variable]] = ()


def write_halves(halves: Halves, folder: Path) -> dict[str, Any]:
    """Writes a reusable SavedModel and its card into an empty folder.

    Returns:
        The card.

    Raises:
        DataError: its vectors are none: of another rank, of unknown size, or not finite.
    """
    source = halves.card.get("source", "the encoder")
    raw = tf.TensorSpec([None], tf.string, name=_NAMES[halves.input_kind])
    preprocess = tf.function(halves.preprocess, input_signature=[raw])
    tensors = preprocess.get_concrete_function().structured_outputs
    specs = {name: tf.TensorSpec(tensor.shape, tensor.dtype, name=name) for name, tensor in tensors.items()}
    encode = tf.function(halves.encode, input_signature=[specs])
    traced = encode.get_concrete_function()
    shape = traced.structured_outputs.shape
    if shape.rank != 2 or shape[1] is None:
        raise DataError(f"{source}: expected a vector of fixed size for each row, [batch, dim], found {shape}")
    module = tf.train.Checkpoint()
    module.__call__ = tf.function(lambda rows: encode(preprocess(rows)), input_signature=[raw])
    module.preprocess, module.encode = preprocess, encode
    if halves.encode_sequence is not None:
        module.encode_sequence = tf.function(halves.encode_sequence, input_signature=[specs])
    read = {id(variable) for variable in traced.graph.variables}
    module.variables = [variable for variable in halves.variables if id(variable) in read]
    module.trainable_variables = [variable for variable in halves.trainable if id(variable) in read]
    layers = [[variable for variable in layer if id(variable) in read] for layer in halves.layers]
    module.layers = [layer for layer in layers if layer]
    module.regularization_losses = []
    module.tracked = list(halves.tracked)
    found = module.__call__(tf.constant(_probe(halves.input_kind))).numpy()
    if not np.isfinite(found).all():
        raise DataError(f"{source}: its vectors are not finite; the weights are damaged, or not those of this network")
    tf.saved_model.save(module, str(folder))
    card = halves.card | {
        "input_kind": halves.input_kind,
        "dim": int(shape[1]),
        "tensors": {name: [spec.dtype.name, spec.shape.as_list()] for name, spec in specs.items()},
        "num_layers": len(module.layers),
        "num_weights": sum(variable.shape.num_elements() for variable in module.variables),
        "num_trainable_weights": sum(variable.shape.num_elements() for variable in module.trainable_variables),
        "fingerprint": weights_fingerprint(variable.numpy() for variable in module.variables),
    }
    write_card(folder, card)
    return card


def _probe(input_kind: str) -> list[bytes]:
    """Raw values to try an encoder with, one of them missing."""
    if input_kind == "text":
        return [b"a red dress", b""]
    picture = tf.io.encode_png(tf.fill([_PROBE_PIXELS, _PROBE_PIXELS, 3], tf.constant(99, tf.uint8))).numpy()
    return [picture, b""]  # which is a video of one frame too
