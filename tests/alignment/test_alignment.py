import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import PATTERNS, embedded
from tfmmrec.alignment.alignment import Alignment
from tfmmrec.types import UsageError


def test_who_takes_part_in_order_of_the_names():
    parts = dict(reversed(embedded().items())) | {"id": embedded()["words"]}
    assert Alignment().participants(parts) == ["look", "price", "words"]
    assert Alignment(exclude=["price", "absent"]).participants(parts) == ["id", "look", "words"]


def test_vectors_are_zero_where_absent():
    parts = embedded(absent=np.nan)
    for place, (name, found) in enumerate(zip(parts, Alignment().vectors(parts), strict=True)):
        expected = np.where(PATTERNS[:, place, None], parts[name]["vector"], 0.0)
        np.testing.assert_array_equal(found, expected)


def test_what_is_imputed_or_in_a_row_that_does_not_count_is_present_but_not_given():
    parts, layer = embedded(), Alignment()
    np.testing.assert_array_equal(layer.present(parts), PATTERNS)
    np.testing.assert_array_equal(layer.given(parts, None), PATTERNS)
    imputed = np.arange(8) >= 6
    parts["price"]["imputed"] = tf.constant(imputed)
    counted = np.arange(8) != 3
    expected = PATTERNS & counted[:, None]
    expected[:, 1] &= ~imputed
    np.testing.assert_array_equal(layer.given(parts, tf.constant(counted)), expected)
    np.testing.assert_array_equal(layer.present(parts), PATTERNS)


def test_a_negative_weight_and_modalities_that_are_too_few():
    with pytest.raises(UsageError, match="weight must be at least 0, got -1"):
        Alignment(-1)
    with pytest.raises(UsageError, match=r"at least two, got none \(it leaves out none\); add a feature or do without"):
        Alignment(exclude=()).participants({})
