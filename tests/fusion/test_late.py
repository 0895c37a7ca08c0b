import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import MODALITIES, PATTERNS, embedded
from tfmmrec.fusion import LateFusion, LateQueryHead
from tfmmrec.types import UsageError

DIM = 4
LOGITS = np.array([0.3, -1.0, 2.0], np.float32)  # the weights w are their softmax


def made():
    fusion = LateFusion(DIM)
    fusion(embedded())
    fusion.weight_logits.assign(LOGITS)
    return fusion


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def sum_over_modalities(query_blocks, candidate_blocks, logits, present):
    """score = Σ_m (w_m b_m / Σ_j w_j b_j) ⟨q_m, c_m⟩, as it is written, for one query and one candidate."""
    weights = np.exp(logits) / np.exp(logits).sum()
    whole = sum(w * b for w, b in zip(weights, present, strict=True))
    score = 0.0
    for w, b, q, c in zip(weights, present, query_blocks, candidate_blocks, strict=True):
        if b:
            score += w / whole * float(np.dot(q, c))
    return score


@pytest.mark.parametrize("pattern", range(len(PATTERNS)))
def test_one_dot_product_is_the_sum_over_modalities(pattern):
    fusion, inputs = made(), embedded(absent=float("nan"))
    candidate = fusion(inputs).numpy()[pattern]
    head = LateQueryHead(num_blocks=len(MODALITIES), dim=DIM)
    state = np.random.default_rng(1).normal(size=(1, 7)).astype(np.float32)
    query = head(state).numpy()[0]
    # the blocks from the weights, not from the layers' own methods
    kernel, bias = head.get_weights()
    query_blocks = unit((state @ kernel + bias).reshape(3, DIM))
    candidate_blocks = [
        unit(inputs[name]["vector"].numpy()[pattern] @ layer.kernel.numpy())
        for name, layer in zip(MODALITIES, fusion.projections, strict=True)
    ]
    expected = sum_over_modalities(query_blocks, candidate_blocks, LOGITS, PATTERNS[pattern]) if pattern else 0.0
    np.testing.assert_allclose(query @ candidate, expected, rtol=1e-5, atol=1e-6)


def test_weights_of_the_modalities_that_are_there_sum_to_one():
    weights = made().weights_of(PATTERNS).numpy()
    np.testing.assert_array_equal(weights > 0, PATTERNS)
    np.testing.assert_allclose(weights.sum(axis=1), PATTERNS.any(axis=1), rtol=1e-6)
    softmax = np.exp(LOGITS) / np.exp(LOGITS).sum()
    np.testing.assert_allclose(weights[-1], softmax, rtol=1e-6)  # all are there
    np.testing.assert_allclose(weights[3], [*(softmax[:2] / softmax[:2].sum()), 0], rtol=1e-6)


def test_blocks_have_the_length_of_their_weight():
    fusion, inputs = made(), embedded()
    blocks = fusion(inputs).numpy().reshape(-1, 3, DIM)
    np.testing.assert_allclose(np.linalg.norm(blocks, axis=2), fusion.weights_of(PATTERNS), rtol=1e-5)


def test_the_score_never_exceeds_one():
    # unit blocks and weights that sum to one: a mean of cosines
    candidates = made()(embedded()).numpy()
    queries = LateQueryHead(num_blocks=3, dim=DIM)(tf.random.stateless_normal([50, 6], [0, 1])).numpy()
    assert np.abs(queries @ candidates.T).max() <= 1.0 + 1e-6


def test_a_weight_that_is_all_but_zero_still_divides_to_one():
    fusion = made()
    fusion.weight_logits.assign([-60.0, 0.0, 0.0])  # softmax 4e-27
    np.testing.assert_allclose(fusion.weights_of(np.array([[1, 0, 0]]))[0], [1.0, 0.0, 0.0])


def test_the_initial_weights_are_equal():
    fusion = LateFusion(DIM)
    fusion(embedded())
    np.testing.assert_allclose(fusion.weights_of(PATTERNS[-1:])[0], [1 / 3] * 3, rtol=1e-6)


def test_nothing_may_follow():
    assert LateFusion.stands_last


def test_a_size_below_one_is_refused():
    with pytest.raises(UsageError, match="late fusion's dim must be at least 1, got 0"):
        LateFusion(0)
