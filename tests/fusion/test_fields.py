import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import PATTERNS, embedded
from tfmmrec.fusion import FieldsFusion
from tfmmrec.fusion.fields import split_fields
from tfmmrec.types import UsageError


@pytest.mark.parametrize("scale", [None, 0.1])
def test_it_is_every_field_projected_and_what_is_there(scale):
    parts = embedded(absent=np.nan)
    fusion = FieldsFusion(4, direct=["words"], scale=scale)
    found = fusion(parts).numpy()
    assert found.shape == (8, 3 * 4 + 3)
    vectors, present = split_fields(tf.constant(found), 3)
    np.testing.assert_array_equal(present, PATTERNS)
    for place, name in enumerate(parts):
        features = np.where(PATTERNS[:, place, None], parts[name]["vector"], 0.0)
        if name != "words":
            if scale is not None:
                features = features * scale / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)
            features = features @ fusion.projections.kernels[name].kernel.numpy()
        np.testing.assert_allclose(vectors[:, place], features, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(found[:, 4 * place : 4 * place + 4], vectors[:, place])


def test_a_direct_field_of_another_size_is_refused():
    with pytest.raises(UsageError, match="a direct modality must have the result's size 5, but words has 4"):
        FieldsFusion(5, direct=["words"])(embedded())


@pytest.mark.parametrize(("size", "num_fields"), [(7, 2), (2, 2), (6, 0)])
def test_parts_that_hold_other_fields_are_refused(size, num_fields):
    with pytest.raises(UsageError, match=f"{num_fields} fields of one size.* cannot be {size} numbers"):
        split_fields(tf.zeros([1, size]), num_fields)
