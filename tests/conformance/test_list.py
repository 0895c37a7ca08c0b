"""Every public part stands in the list; a new one that does not is found here."""

import tensorflow as tf

import tfmmrec.encoders
import tfmmrec.fusion
from tests.conformance.encoders import ENCODERS
from tests.conformance.parts import FUSIONS
from tfmmrec.encoders import Encoder


def public_classes(package, base):
    found = {name: getattr(package, name) for name in package.__all__}
    return {name for name, part in found.items() if isinstance(part, type) and issubclass(part, base)} - {"Encoder"}


def test_every_encoder_is_listed(folder):
    assert {type(part.make(folder)).__name__ for part in ENCODERS} == public_classes(tfmmrec.encoders, Encoder)


def test_every_fusion_is_listed():
    listed = {type(part.make()).__name__ for part in FUSIONS}
    assert listed == public_classes(tfmmrec.fusion, tf.keras.layers.Layer)


def test_names_of_the_list_differ():
    names = [part.name for part in ENCODERS + FUSIONS]
    assert len(set(names)) == len(names)
