import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import PATTERNS, embedded
from tfmmrec.fusion import SumFusion
from tfmmrec.types import UsageError


def test_it_adds_what_is_there():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(3, 8, 2)).astype(np.float32)
    parts = {
        name: {
            "vector": tf.constant(np.where(PATTERNS[:, place, None], vectors[place], np.nan)),
            "present": tf.constant(PATTERNS[:, place]),
        }
        for place, name in enumerate("abc")
    }
    expected = sum(vectors[place] * PATTERNS[:, place, None] for place in range(3))
    np.testing.assert_allclose(SumFusion()(parts), expected, rtol=1e-5)


def test_an_id_alone_is_given_back():
    words = embedded()["words"]
    np.testing.assert_array_equal(SumFusion()({"id": words}), words["vector"])


def test_different_sizes_are_refused():
    with pytest.raises(UsageError, match="one size, got look: 3, price: 2, words: 4; EarlyFusion projects"):
        SumFusion()(embedded())
