"""A missing modality contributes nothing, whichever it is and whatever stands in its place."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.encoders import ENCODERS
from tests.conformance.parts import FUSIONS_OF_MODALITIES, MODALITIES, PATTERNS, arrays, by_name


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_missing_values_are_absent_and_zero(part, folder):
    encoder = part.make(folder)
    inputs = part.inputs(encoder, part.missing)
    for training in (False, True):
        found = arrays(encoder(inputs, training=training))
        assert found["present"].dtype == bool and not found["present"].any()
        np.testing.assert_array_equal(found["vector"], np.zeros_like(found["vector"]))
        if "sequence_mask" in found:
            assert not found["sequence_mask"].any()


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_given_values_are_present_and_differ(part, folder):
    encoder = part.make(folder)
    found = encoder(part.inputs(encoder, part.rows), training=False)
    is_given = [True, False, *[True] * (len(part.given) - 1), *[False] * (len(part.missing) - 1)]
    np.testing.assert_array_equal(found["present"], is_given)
    vectors = found["vector"].numpy()[is_given]
    assert np.isfinite(vectors).all() and len(np.unique(vectors.round(5), axis=0)) == len(vectors)
    batch = len(part.rows)
    assert found["vector"].shape.rank == 2 and found["vector"].shape[0] == batch
    assert found["present"].shape == [batch]
    assert ("sequence" in found) == ("sequence_mask" in found)
    if "sequence" in found:
        assert found["sequence"].shape.rank == 3
        assert found["sequence"].shape[:2] == found["sequence_mask"].shape


@pytest.mark.parametrize("part", FUSIONS_OF_MODALITIES, ids=by_name)
@pytest.mark.parametrize("absent", [17.0, float("nan"), float("inf")])
def test_what_stands_in_the_place_of_an_absent_modality_does_not_matter(part, absent):
    fusion = part.make()
    expected = fusion(part.inputs(), training=False).numpy()
    assert np.isfinite(expected).all()  # rows where everything is absent included
    np.testing.assert_array_equal(fusion(part.inputs(absent=absent), training=False).numpy(), expected)


@pytest.mark.parametrize("part", FUSIONS_OF_MODALITIES, ids=by_name)
@pytest.mark.parametrize("place", range(len(MODALITIES)))
def test_a_present_modality_does_matter(part, place):
    fusion = part.make()
    name = list(MODALITIES)[place]
    inputs = part.inputs()
    expected = fusion(inputs, training=False).numpy()
    inputs[name] = part.inputs(seed=1)[name]
    changed = (np.abs(fusion(inputs, training=False).numpy() - expected) > 1e-4).any(axis=1)
    np.testing.assert_array_equal(changed, PATTERNS[:, place])


@pytest.mark.parametrize("part", FUSIONS_OF_MODALITIES, ids=by_name)
def test_gradients_stay_finite_where_everything_is_absent(part):
    fusion = part.make()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(fusion(part.inputs(absent=float("nan")), training=True) ** 2)
    for gradient in tape.gradient(loss, fusion.trainable_variables):
        assert np.isfinite(gradient.numpy()).all()


@pytest.mark.parametrize("part", FUSIONS_OF_MODALITIES, ids=by_name)
def test_the_order_in_which_modalities_are_given_does_not_matter(part):
    fusion = part.make()
    expected = fusion(part.inputs(), training=False).numpy()
    turned = dict(reversed(part.inputs().items()))
    np.testing.assert_array_equal(fusion(turned, training=False).numpy(), expected)
