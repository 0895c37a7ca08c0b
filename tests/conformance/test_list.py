"""Every public part and model stands in the list; a new one that does not is found here."""

import pytest
import tensorflow as tf

import tfmmrec.encoders
import tfmmrec.fusion
from tests.conformance import serving
from tests.conformance.encoders import ENCODERS
from tests.conformance.models import CASES, COVERED, FAMILIES, QUICK, QUICK_OR_SLOW
from tests.conformance.parts import FUSIONS
from tfmmrec.encoders import Encoder
from tfmmrec.zoo import ZOO


def public_classes(package, base):
    found = {name: getattr(package, name) for name in package.__all__}
    return {name for name, part in found.items() if isinstance(part, type) and issubclass(part, base)} - {"Encoder"}


def test_every_encoder_is_listed(folder):
    assert {type(part.make(folder)).__name__ for part in ENCODERS} == public_classes(tfmmrec.encoders, Encoder)


def test_every_fusion_is_listed():
    listed = {type(part.make()).__name__ for part in FUSIONS}
    assert listed == public_classes(tfmmrec.fusion, tf.keras.layers.Layer)


def test_names_of_the_list_differ():
    for names in ([part.name for part in ENCODERS + FUSIONS], [case.name for case in CASES]):
        assert len(set(names)) == len(names)


def marked_slow(parameters):
    """name -> whether it is marked so."""
    given = [one if hasattr(one, "marks") else pytest.param(one) for one in parameters]
    return {getattr(one.values[0], "name", one.values[0]): bool(one.marks) for one in given}


def test_every_model_is_tried_quickly_or_is_of_the_family_of_one_that_is():
    assert sum(map(len, FAMILIES.values())) == len(COVERED) and not COVERED & set(FAMILIES)
    assert COVERED | set(FAMILIES) <= set(ZOO)
    slow = marked_slow(QUICK_OR_SLOW)
    assert set(slow) == {case.name for case in CASES} >= set(ZOO)
    assert {name for name in ZOO if slow[name]} == COVERED
    assert {name for name in slow if not slow[name]} == {case.name for case in QUICK}


def test_every_model_is_served_and_one_that_retrieves_quickly():
    cases = serving.CASES | serving.RANKING_CASES
    slow = marked_slow(serving.quick_or_slow(cases))
    assert set(slow) == set(cases) >= set(ZOO)
    quick = {name for name in cases if not slow[name]}
    assert quick == set(serving.QUICK) and {ZOO[cases[name].model].kind for name in quick} == {"retrieval"}
