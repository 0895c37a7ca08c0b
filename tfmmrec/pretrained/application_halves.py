"""Networks of `keras.applications`, with weights from a file."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import keras
import tensorflow as tf

from tfmmrec.encoders.pictures import decode_pictures
from tfmmrec.pretrained.export_request import APPLICATIONS, ExportRequest
from tfmmrec.pretrained.halves import Halves
from tfmmrec.pretrained.layer_groups import layer_groups
from tfmmrec.types import DataError, UsageError

NAMES = tuple(name for name in dir(keras.applications) if name[0].isupper())
_SIZES = dict(EfficientNetB1=240, EfficientNetB2=260, EfficientNetB3=300, EfficientNetB4=380, EfficientNetB5=456)
_SIZES |= dict(EfficientNetB6=528, EfficientNetB7=600, InceptionV3=299, InceptionResNetV2=299, Xception=299)
_SIZES |= dict(EfficientNetV2B1=240, EfficientNetV2B2=260, EfficientNetV2B3=300, EfficientNetV2S=384)
_SIZES |= dict(EfficientNetV2M=480, EfficientNetV2L=480, NASNetLarge=331)
_SIZE, _LEAST = 224, 32
_DEVIATIONS = (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue, from 0 to 1


def application_halves(request: ExportRequest) -> Halves:
    """Builds a network without its classifier and reads its weights, of a file with the classifier's or without.

    Raises:
        DataError: the weights are of another network.
        UsageError: an unknown network, or options that mean nothing to it.
    """
    request.refuse("a network of pictures", "half", "max_length")
    name = request.source.removeprefix(APPLICATIONS)
    if name not in NAMES:
        raise UsageError(f"{request.source}: expected one of {', '.join(APPLICATIONS + name for name in NAMES)}")
    pooling = request.pooling or "mean"
    if pooling == "cls":
        raise UsageError(f"{request.source}: has cells of a picture, and no first token; pooling is mean or max")
    size = request.image_size or _SIZES.get(name, _SIZE)
    if size < _LEAST:
        raise UsageError(f"image_size must be at least {_LEAST} for {request.source}, got {size}")
    make = getattr(keras.applications, name)
    rules = importlib.import_module(make.__module__)
    network = make(include_top=False, weights=None, input_shape=(size, size, 3))
    if request.weights is not None:
        _load(network, make, size, request)
        if name.startswith("EfficientNetB") and _is_released(request.weights, rules):
            _restore_scale(network)

    def preprocess(raw: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"pixels": decode_pictures(raw, size, size, crop=True)[0]}

    def encode(tensors: dict[str, tf.Tensor]) -> tf.Tensor:
        cells = network(rules.preprocess_input(tf.cast(tensors["pixels"], tf.float32)), training=False)
        return tf.reduce_mean(cells, [1, 2]) if pooling == "mean" else tf.reduce_max(cells, [1, 2])

    return Halves(
        "image",
        preprocess,
        encode,
        [weight.value for weight in network.weights],
        [weight.value for weight in network.trainable_weights],
        layers=[[weight.value for weight in layer] for layer in layer_groups(network.trainable_weights)],
        card={"source": request.source, "network": name, "pooling": pooling, "image_size": [size, size]}
        | {"weights": Path(request.weights).name if request.weights else None},
    )


def _load(network, make, size: int, request: ExportRequest) -> None:
    try:
        network.load_weights(request.weights)
        return
    except Exception as error:  # of h5py, zip files and Keras alike
        first = error
    try:
        whole = make(include_top=True, weights=None, input_shape=(size, size, 3))
        whole.load_weights(request.weights)
    except Exception:
        message = (str(first).strip() or type(first).__name__).splitlines()[0]
        raise DataError(
            f"{request.weights}: expected weights of {request.source} (.weights.h5 or .h5), with its "
            f"classifier of 1,000 classes or without, found others: {message}"
        ) from first
    for layer, own in zip(network.layers, whole.layers, strict=False):  # the classifier comes last
        layer.set_weights(own.get_weights())


def _is_released(weights: str, rules) -> bool:
    digest = hashlib.md5(Path(weights).read_bytes(), usedforsecurity=False).hexdigest()
    return any(digest in hashes for hashes in rules.WEIGHTS_HASHES.values())


def _restore_scale(network) -> None:
    """ImageNet's released weights stand behind a division by the root of the deviations, which Keras builds into the
    network only where it fetches them itself; a normalisation's variance can say the same.
    """
    norm = next(layer for layer in network.layers if isinstance(layer, keras.layers.Normalization))
    norm.set_weights([value * _DEVIATIONS if "variance" in weight.path else value
                      for weight, value in zip(norm.weights, norm.get_weights(), strict=True)])  # fmt: skip
    norm.finalize_state()
