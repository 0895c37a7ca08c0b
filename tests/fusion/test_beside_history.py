import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import MODALITIES, PATTERNS, embedded
from tfmmrec.fusion import BesideHistory, EarlyFusion
from tfmmrec.types import UsageError

RANK = 2
FACTORS = np.random.default_rng(1).normal(size=(8, RANK)).astype(np.float32)


def inputs(**options):
    """The words stand for a history; behind its vector are factors."""
    parts = embedded(**options)
    words = parts["words"]
    vector = tf.concat([words["vector"], FACTORS], axis=1)
    return parts | {"words": words | {"vector": vector}}


def made():
    fusion = BesideHistory(EarlyFusion(5), MODALITIES["words"], RANK, history="words")
    fusion(inputs())
    return fusion


def test_the_factors_stand_behind_what_is_trained_times_the_scale():
    fusion = made()
    present = PATTERNS[:, list(MODALITIES).index("words"), None]
    for scale in (1.0, 3.0):
        fusion.set_scale(scale)
        found = fusion(inputs(), training=False).numpy()
        np.testing.assert_array_equal(found[:, :5], fusion.inner(embedded()))
        np.testing.assert_allclose(found[:, 5:], scale * np.where(present, FACTORS, 0.0), rtol=1e-6)


def test_in_training_it_is_the_inner_fusion_of_a_history_without_factors():
    fusion = made()
    for given in (embedded(), inputs()):
        np.testing.assert_array_equal(fusion(given, training=True), fusion.inner(embedded(), training=True))
    assert [v.ref() for v in fusion.trainable_variables] == [v.ref() for v in fusion.inner.trainable_variables]
    assert fusion.scale.ref() in {v.ref() for v in fusion.non_trainable_variables}


def test_what_it_cannot_read_is_refused():
    with pytest.raises(UsageError, match="BesideHistory expects a history, got look, price, words"):
        BesideHistory(EarlyFusion(5), 4, RANK)(inputs())
    with pytest.raises(UsageError, match="expects 2 factors behind the 4 numbers of a words, got a vector of 4"):
        made()(embedded(), training=False)


@pytest.mark.parametrize(("dim", "rank"), [(0, 2), (4, 0)])
def test_a_size_below_one_is_refused(dim, rank):
    with pytest.raises(UsageError, match=f"dim and rank must be at least 1, got {dim} and {rank}"):
        BesideHistory(EarlyFusion(5), dim, rank)
