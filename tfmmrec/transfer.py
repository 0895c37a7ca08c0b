"""A model begins with what another one has learned of words, values, pictures and sounds, and of how to fuse them.

Ids of one catalogue mean nothing in another. Words and values do, wherever both have them.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.encoders.category import CategoryEncoder
from tfmmrec.encoders.composed_identifier import ComposedIdentifier
from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.encoders.number import NumberEncoder
from tfmmrec.encoders.text import TextEncoder
from tfmmrec.encoders.text_tokens import WordTokens
from tfmmrec.fusion.beside_factors import BesideFactors
from tfmmrec.fusion.beside_history import BesideHistory
from tfmmrec.randomness import RandomDraws
from tfmmrec.towers import Tower

_SIDES = ("query_tower", "candidate_tower", "history_tower")
_PARTS = ("fusion", "head")
_LEAST_SHARE = 0.5


def transfer_weights(source: tf.keras.Model, target: tf.keras.Model) -> dict[str, float]:
    """Gives a built model the weights of another's towers, ids aside.

    A part is taken where the other model has one of its name and kind whose weights have the same shapes. What is
    taken off a pretrained encoder's vectors is the mean over the new catalogue.

    Args:
        source: a trained model.
        target: what takes them.

    Returns:
        `tower/part` -> which share of it was taken, for those parts that have weights.
    """
    taken = {}
    for side in _SIDES:
        own, other = getattr(target, side, None), getattr(source, side, None)
        if not isinstance(own, Tower):
            continue
        encoders: Mapping[str, Encoder] = other.encoders if isinstance(other, Tower) else {}
        for name, encoder in own.encoders.items():
            if encoder.weights and encoder.handle is None:
                taken[f"{side}/{name}"] = transfer_encoder(encoders.get(name), encoder)
        for part in _PARTS:
            layer, there = (_trained(getattr(tower, part, None)) for tower in (own, other))
            if layer is not None and layer.weights:
                same = sorted(own.encoders) == sorted(encoders)  # places in a fusion's weights are modalities
                taken[f"{side}/{part}"] = _take_whole(there, layer) if same else 0.0
    return taken


def describe_transfer(taken: Mapping[str, float]) -> list[str]:
    """What `transfer_weights` returned, for people: a line for each tower, "candidate tower: photo 100%, title 83%;
    nothing of price".
    """
    lines = []
    for side in dict.fromkeys(name.partition("/")[0] for name in taken):
        own = {name.partition("/")[2]: share for name, share in taken.items() if name.startswith(f"{side}/")}
        some = ", ".join(
            f"{part} {share:.0%}" if share >= 0.01 else f"{part} <1%" for part, share in own.items() if share
        )
        none = ", ".join(part for part, share in own.items() if not share)
        lines.append(f"{side.replace('_', ' ')}: {'; '.join(filter(None, [some, none and f'nothing of {none}']))}")
    return lines


def transfer_encoder(source: Encoder | None, target: Encoder) -> float:
    """Gives an encoder the weights of another: of words and values those that both know, of all others everything.

    Words that the other does not know begin at zero, since a catalogue's own semantics have other axes, and nothing is
    taken where they are most; values keep what they begin with.

    Returns:
        Which share was taken; 0 of ids, and where the two do not fit together.
    """
    if isinstance(target, IdentifierEncoder | ComposedIdentifier | WordTokens):
        return 0.0
    if isinstance(target, NumberEncoder) and getattr(source, "edges", None) != target.edges:
        return 0.0
    if not isinstance(target, CategoryEncoder | TextEncoder):
        return _take_whole(source, target)
    if type(source) is not type(target) or source.dim != target.dim or not target.vocabulary:
        return 0.0
    table, other = target.embeddings.numpy(), source.embeddings.numpy()
    places = {value: place for place, value in enumerate(source.vocabulary)}
    rows = [row for row, value in enumerate(target.vocabulary) if value in places]
    if isinstance(target, TextEncoder) and len(rows) < _LEAST_SHARE * len(target.vocabulary):
        return 0.0
    if isinstance(target, TextEncoder):
        table[:] = 0.0
    table[rows] = other[[places[target.vocabulary[row]] for row in rows]]
    target.embeddings.assign(table)
    return len(rows) / len(target.vocabulary)


def _trained(layer: tf.keras.layers.Layer | None) -> tf.keras.layers.Layer | None:
    """Of a fusion beside which something is computed, the one that is trained."""
    return layer.inner if isinstance(layer, BesideFactors | BesideHistory) else layer


def _take_whole(source: tf.keras.layers.Layer | None, target: tf.keras.layers.Layer) -> float:
    if type(source) is not type(target):
        return 0.0
    own, others = _learned(target), _learned(source)
    if [weight.shape for weight in own] != [weight.shape for weight in others]:
        return 0.0
    for weight, other in zip(own, others, strict=True):
        weight.assign(other.numpy())
    return 1.0


def _learned(layer: tf.keras.layers.Layer) -> list[tf.Variable]:
    """A layer's weights but for how many random draws there have been."""
    counts = {id(count) for part in layer.submodules if isinstance(part, RandomDraws) for count in part.weights}
    return [weight for weight in layer.weights if id(weight) not in counts]
