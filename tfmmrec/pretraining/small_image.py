"""A small picture encoder that begins untrained: the project's own convolutional network."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.encoders.image import ImageEncoder
from tfmmrec.encoders.pictures import decode_pictures
from tfmmrec.pretrained.halves import Halves


def small_image_halves(dim: int = 128, size: int = 64, seed: int = 0) -> Halves:
    """`ImageEncoder`, with random weights.

    Args:
        dim: size of a vector.
        size: pictures have so many pixels in height and width.
        seed: of the weights.
    """
    tf.keras.utils.set_random_seed(seed)
    network = ImageEncoder(dim, size, size, name="image")
    network.build()

    def preprocess(raw: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"pixels": decode_pictures(raw, size, size)[0]}

    def encode(tensors: dict[str, tf.Tensor]) -> tf.Tensor:
        pixels = tensors["pixels"]
        return network({"pixels": pixels, "has_pixels": tf.ones(tf.shape(pixels)[:1], tf.bool)})["vector"]

    stages = zip(network.convolutions, network.norms, strict=True)
    layers = [[*convolution.trainable_weights, *norm.trainable_weights] for convolution, norm in stages]
    layers.append(list(network.projection.trainable_weights))
    weights = [weight for layer in layers for weight in layer]
    card = {"source": "small", "network": "ImageEncoder", "image_size": [size, size]}
    return Halves("image", preprocess, encode, weights, weights, card=card, layers=layers)
