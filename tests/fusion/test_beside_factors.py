import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import MODALITIES, PATTERNS, embedded
from tfmmrec.fusion import BesideFactors, EarlyFusion, SumFusion
from tfmmrec.types import UsageError

RANK = 2
SIZE = MODALITIES["look"] + MODALITIES["price"] + 1  # of what is there beside the id, and 1
FACTORS = np.random.default_rng(1).normal(size=(8, RANK)).astype(np.float32)


def inputs(**options):
    """The words stand for an id, whose factors are there where it is."""
    parts = embedded(**options)
    known = parts["words"]["present"]
    factors = tf.where(known[:, None], FACTORS, options.get("absent", 0.0))
    return parts | {"words": parts["words"] | {"factors": factors, "known": known}}


def made():
    fusion = BesideFactors(EarlyFusion(5), RANK, direct="words")
    fusion(inputs())
    return fusion


def content_of(parts):
    """[look of unit length ; price of unit length ; 1], by hand."""
    columns = []
    for name in ("look", "price"):
        vector = np.where(parts[name]["present"][:, None], parts[name]["vector"], 0.0)
        columns.append(vector / np.maximum(np.linalg.norm(vector, axis=1, keepdims=True), 1e-6))
    return np.concatenate([*columns, np.ones((8, 1))], axis=1)


def test_known_ids_have_their_factors_and_others_what_their_content_predicts():
    fusion, parts = made(), inputs()
    mapped = np.random.default_rng(2).normal(size=(SIZE, RANK)).astype(np.float32)
    fusion.content_map.assign(mapped)
    found = fusion(parts, training=False).numpy()
    np.testing.assert_array_equal(found[:, :5], fusion.inner(parts))
    known = PATTERNS[:, list(MODALITIES).index("words")]
    expected = np.where(known[:, None], FACTORS, content_of(parts) @ mapped)
    np.testing.assert_allclose(found[:, 5:], expected, rtol=1e-5, atol=1e-6)
    nothing = ~PATTERNS.any(axis=1)
    np.testing.assert_allclose(found[nothing, 5:], mapped[-1:], rtol=1e-5)


def test_in_training_it_is_the_inner_fusion():
    fusion, parts = made(), inputs()
    np.testing.assert_array_equal(fusion(parts, training=True), fusion.inner(parts, training=True))
    assert [v.ref() for v in fusion.trainable_variables] == [v.ref() for v in fusion.inner.trainable_variables]


def test_content_of_unit_length():
    np.testing.assert_allclose(made().content(inputs(absent=np.nan)), content_of(inputs()), rtol=1e-5, atol=1e-6)


def test_the_map_solves_the_normal_equations():
    random = np.random.default_rng(3)
    content, factors = random.normal(size=(30, SIZE)), random.normal(size=(30, RANK))
    fusion = made()
    fusion.fit_content(content, factors, l2=0.7)
    found = fusion.content_map.numpy()
    np.testing.assert_allclose(content.T @ (content @ found - factors) + 0.7 * found, 0.0, atol=1e-4)


def test_without_content_the_prediction_is_the_mean_factor():
    fusion = BesideFactors(SumFusion(), RANK, direct="words")
    alone = {"words": inputs()["words"]}
    fusion(alone)
    fusion.fit_content(fusion.content(alone).numpy(), FACTORS, l2=2.0)
    np.testing.assert_allclose(fusion.content_map, FACTORS.sum(axis=0, keepdims=True) / (8 + 2.0), rtol=1e-5)


def test_an_id_without_factors_is_refused():
    with pytest.raises(UsageError, match="BesideFactors expects words with factors, of a FactorIdentifier"):
        BesideFactors(EarlyFusion(5), RANK, direct="words")(embedded())
    with pytest.raises(UsageError, match="BesideFactors expects id with factors, of a FactorIdentifier"):
        BesideFactors(EarlyFusion(5), RANK)(embedded())


def test_a_rank_below_one_is_refused():
    with pytest.raises(UsageError, match="rank must be at least 1, got 0"):
        BesideFactors(EarlyFusion(5), 0)
