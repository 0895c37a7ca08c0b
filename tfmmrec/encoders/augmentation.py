"""Pictures changed at random, so that a network does not learn by heart how one picture was taken.

Batched, stateless and of static shape: what comes out depends on the pictures and on the seed alone, and each picture
of a batch has draws of its own. All are stock ops that XLA compiles too, with other random numbers
(`tf.image.crop_and_resize` is none of those). Pictures are floats `[batch, height, width, 3]` in [0, 1] before and
after. A seed is an integer tensor `[2]`, such as `RandomDraws.next_seed` gives; one seed in two of these functions
gives draws that depend on each other: `tf.random.split` makes several of one.
"""

from __future__ import annotations

import math

import tensorflow as tf

from tfmmrec.types import UsageError

_LUMA = (0.299, 0.587, 0.114)  # what red, green and blue add to the grey of a pixel (ITU-R BT.601)


def random_resized_crop(
    pictures: tf.Tensor,
    seed: tf.Tensor,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    repeats: int = 1,
) -> tf.Tensor:
    """A part of each picture at a random place, of a random size and form, stretched to the size of the whole.

    The crop of Szegedy et al. (2015), "Going deeper with convolutions", section 6, as SimCLR has it (Chen et al. 2020,
    appendix A): a share of the area is drawn evenly, then the ratio of width to height, evenly on a logarithmic scale
    among those with which such a part has room in the picture. Between pixels it is interpolated linearly.

    Args:
        pictures: `[batch, height, width, 3]`, height and width known. Any range of numbers, which is kept.
        seed: integers `[2]`.
        area: least and largest share of the picture, in (0, 1].
        ratio: least and largest width / height of the part, in pixels.
        repeats: so many pictures in a row have the same draws: the frames of a clip.

    Returns:
        `[batch, height, width, 3]`.

    Raises:
        UsageError: a range that is none, or pictures of no known size.
    """
    if not 0 < area[0] <= area[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
        raise UsageError(f"area must be a range in (0, 1] and ratio one above 0, got {area} and {ratio}")
    height, width = _size(pictures)
    form, share, down, right = _draws(pictures, seed, 4, repeats)
    share = area[0] + (area[1] - area[0]) * share  # [batch]
    # width / height of a part with this share of the area that is just as wide, or as high, as the whole
    least = tf.minimum(tf.maximum(math.log(ratio[0]), tf.math.log(share * width / height)), math.log(ratio[1]))
    most = tf.maximum(tf.minimum(math.log(ratio[1]), tf.math.log(width / (share * height))), math.log(ratio[0]))
    form = tf.exp(least + (most - least) * form)
    rows = tf.minimum(tf.sqrt(share * height * width / form), height)
    columns = tf.minimum(tf.sqrt(share * height * width * form), width)
    vertical = _sampling(down * (height - rows), rows, height)
    horizontal = _sampling(right * (width - columns), columns, width)
    pictures = tf.einsum("bih,bhwc->biwc", tf.cast(vertical, pictures.dtype), pictures)
    return tf.einsum("bjw,biwc->bijc", tf.cast(horizontal, pictures.dtype), pictures)


def random_flip(pictures: tf.Tensor, seed: tf.Tensor, rate: float = 0.5, repeats: int = 1) -> tf.Tensor:
    """Some pictures with left and right exchanged (Krizhevsky et al. 2012).

    Args:
        pictures: `[batch, height, width, 3]`, of any type and range.
        seed: integers `[2]`.
        rate: share of the pictures.
        repeats: so many pictures in a row have the same draw.

    Raises:
        UsageError: a rate outside of [0, 1].
    """
    _check_rates(rate=rate)
    (chance,) = _draws(pictures, seed, 1, repeats)
    return tf.where(_each(chance < rate), tf.reverse(pictures, axis=[2]), pictures)


def color_jitter(
    pictures: tf.Tensor,
    seed: tf.Tensor,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.4,
    rate: float = 1.0,
    grayscale: float = 0.0,
    repeats: int = 1,
) -> tf.Tensor:
    """Light and colour of each picture changed at random (Howard 2013; Chen et al. 2020, SimCLR, appendix A).

    A factor for each is drawn evenly from [max(0, 1 − strength), 1 + strength]. In this order, each cut to [0, 1]:
    brightness multiplies the picture; contrast its differences from the mean of its greys; saturation its differences
    from the grey of each pixel. Hue stays.

    Args:
        pictures: floats in [0, 1] `[batch, height, width, 3]`.
        seed: integers `[2]`.
        brightness: strength, 0 or more; 0 for none.
        contrast: likewise.
        saturation: likewise.
        rate: share of the pictures of which this is done (.8 in SimCLR).
        grayscale: share of the pictures that then lose their colour (.2 in SimCLR).
        repeats: so many pictures in a row have the same draws.

    Raises:
        UsageError: a strength below 0, or a share outside of [0, 1].
    """
    _check_rates(rate=rate, grayscale=grayscale)
    if min(brightness, contrast, saturation) < 0:
        raise UsageError(
            f"brightness, contrast and saturation must be 0 or more, got {brightness}, {contrast} and {saturation}"
        )
    draws = _draws(pictures, seed, 5, repeats)
    strengths = (brightness, contrast, saturation)
    factors = [
        tf.cast(_each(_between(max(0.0, 1.0 - s), 1.0 + s, draw)), pictures.dtype)
        for s, draw in zip(strengths, draws[:3], strict=True)
    ]
    changed = _within(pictures * factors[0])
    mean = tf.reduce_mean(_greys(changed), axis=[1, 2], keepdims=True)  # [batch, 1, 1, 1]
    changed = _within(mean + (changed - mean) * factors[1])
    greys = _greys(changed)
    changed = _within(greys + (changed - greys) * factors[2])
    changed = tf.where(_each(draws[3] < rate), changed, pictures)
    return tf.where(_each(draws[4] < grayscale), tf.broadcast_to(_greys(changed), tf.shape(changed)), changed)


def _draws(pictures: tf.Tensor, seed: tf.Tensor, number: int, repeats: int) -> list[tf.Tensor]:
    """So many independent draws for each picture, float32 in [0, 1) `[batch]`."""
    batch = pictures.shape[0] or tf.shape(pictures)[0]
    drawn = tf.random.stateless_uniform([number, batch // repeats], seed)
    return tf.unstack(tf.repeat(drawn, repeats, axis=1) if repeats != 1 else drawn)


def _sampling(start: tf.Tensor, length: tf.Tensor, size: int) -> tf.Tensor:
    """The linear map from the pixels of a line to those of a part of it stretched to the whole's size.

    Args:
        start: `[batch]`, where the part begins, in pixels.
        length: `[batch]`, how many pixels it has, not whole.
        size: of the line; the centres of a part's first and last pixel become those of the line's.

    Returns:
        `[batch, size, size]`; rows add up to 1.
    """
    steps = tf.linspace(0.0, 1.0, size) if size > 1 else tf.zeros([1])
    places = start[:, None] + tf.maximum(length - 1.0, 0.0)[:, None] * steps[None, :]  # [batch, size]
    places = tf.clip_by_value(places, 0.0, size - 1.0)
    distances = tf.abs(places[:, :, None] - tf.range(size, dtype=tf.float32))
    return tf.maximum(1.0 - distances, 0.0)


def _greys(pictures: tf.Tensor) -> tf.Tensor:
    """`[batch, height, width, 3]` -> `[batch, height, width, 1]`."""
    return tf.reduce_sum(pictures * tf.constant(_LUMA, pictures.dtype), axis=-1, keepdims=True)


def _within(pictures: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(pictures, 0.0, 1.0)


def _between(low: float, high: float, draw: tf.Tensor) -> tf.Tensor:
    return low + (high - low) * draw


def _each(values: tf.Tensor) -> tf.Tensor:
    """`[batch]` -> `[batch, 1, 1, 1]`."""
    return values[:, None, None, None]


def _size(pictures: tf.Tensor) -> tuple[int, int]:
    if pictures.shape.rank != 4 or None in pictures.shape[1:3]:
        raise UsageError(f"pictures must be [batch, height, width, 3] of known height and width, got {pictures.shape}")
    return pictures.shape[1], pictures.shape[2]


def _check_rates(**rates: float) -> None:
    for name, rate in rates.items():
        if not 0 <= rate <= 1:
            raise UsageError(f"{name} must lie in [0, 1], got {rate}")
