import numpy as np
import pytest
import scipy.sparse as sp
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


def matrix(tensor):
    """A sparse tensor whose places may repeat, as an array."""
    found = np.zeros(tensor.shape)
    np.add.at(found, tuple(tensor.indices.numpy().T), tensor.values.numpy())
    return found


TERMS = np.array([[0, 3], [1, 1], [2, 0], [3, 1], [0, 0], [1, 2], [2, 2], [3, 0]], np.int32)
WEIGHTS = np.where(PATTERNS[:, :1], np.random.default_rng(4).uniform(0.1, 1.0, (8, 2)), 0.0).astype(np.float32)


def with_terms(**options):
    parts = inputs(**options)
    return parts | {"look": parts["look"] | {"terms": tf.constant(TERMS), "term_weights": tf.constant(WEIGHTS)}}


def terms_and_price(parts):
    """[terms of look, those of a row that are the same added up ; price of unit length ; 1], by hand."""
    found = np.zeros((8, 4))
    for row in range(8):
        for term, weight in zip(TERMS[row], WEIGHTS[row], strict=True):
            found[row, term] += weight
    return np.concatenate([found, content_of(parts)[:, MODALITIES["look"] :]], axis=1)


def test_content_of_unit_length():
    np.testing.assert_allclose(
        matrix(made().content(inputs(absent=np.nan))), content_of(inputs()), rtol=1e-5, atol=1e-6
    )


def test_terms_stand_for_the_vector_of_a_modality_that_has_some():
    fusion, parts = BesideFactors(EarlyFusion(5), RANK, direct="words", num_terms={"look": 4}), with_terms()
    fusion(parts)
    assert fusion.reads_terms and not made().reads_terms
    expected = terms_and_price(inputs())
    np.testing.assert_allclose(matrix(fusion.content(with_terms(absent=np.nan))), expected, rtol=1e-5, atol=1e-6)
    mapped = np.random.default_rng(2).normal(size=fusion.content_map.shape).astype(np.float32)
    fusion.content_map.assign(mapped)
    unknown = ~PATTERNS[:, list(MODALITIES).index("words")]
    np.testing.assert_allclose(
        fusion(parts)[:, 5:].numpy()[unknown], (expected @ mapped)[unknown], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("num_known", [30, 4])  # more than columns, and fewer: the other form of the same
def test_the_map_solves_the_normal_equations(num_known):
    random = np.random.default_rng(3)
    content, factors = random.normal(size=(num_known, SIZE)), random.normal(size=(num_known, RANK))
    fusion = made()
    fusion.fit_content(sp.csr_matrix(content), factors, l2=0.7)
    found = fusion.content_map.numpy()
    np.testing.assert_allclose(content.T @ (content @ found - factors) + 0.7 * found, 0.0, atol=1e-4)


def test_without_content_the_prediction_is_the_mean_factor():
    fusion = BesideFactors(SumFusion(), RANK, direct="words")
    alone = {"words": inputs()["words"]}
    fusion(alone)
    fusion.fit_content(sp.csr_matrix(matrix(fusion.content(alone))), FACTORS, l2=2.0)
    np.testing.assert_allclose(fusion.content_map, FACTORS.sum(axis=0, keepdims=True) / (8 + 2.0), rtol=1e-5)


def test_a_modality_without_its_terms_is_refused():
    fusion = BesideFactors(EarlyFusion(5), RANK, direct="words", num_terms={"look": 4})
    with pytest.raises(UsageError, match="BesideFactors expects look with terms"):
        fusion(inputs())


def test_an_id_without_factors_is_refused():
    with pytest.raises(UsageError, match="BesideFactors expects words with factors, of a FactorIdentifier"):
        BesideFactors(EarlyFusion(5), RANK, direct="words")(embedded())
    with pytest.raises(UsageError, match="BesideFactors expects id with factors, of a FactorIdentifier"):
        BesideFactors(EarlyFusion(5), RANK)(embedded())


def test_a_rank_below_one_is_refused():
    with pytest.raises(UsageError, match="rank must be at least 1, got 0"):
        BesideFactors(EarlyFusion(5), 0)
