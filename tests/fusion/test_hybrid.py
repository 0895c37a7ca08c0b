import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import MODALITIES, PATTERNS, embedded
from tfmmrec.fusion import HybridFusion, LateQueryHead
from tfmmrec.types import UsageError

DIM = 4
LOGITS = np.array([0.3, -1.0, 2.0, 0.7], np.float32)  # of the three modalities, then of the fused block


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("pattern", range(len(PATTERNS)))
def test_one_dot_product_is_the_sum_over_modalities_and_the_fused_block(pattern):
    tf.keras.utils.set_random_seed(0)  # of six rectified units all may be dead
    fusion, inputs = HybridFusion(DIM, [6]), embedded(absent=float("nan"))
    fusion(inputs)
    fusion.late.weight_logits.assign(LOGITS)
    candidate = fusion(inputs).numpy()[pattern]
    head = LateQueryHead(num_blocks=len(MODALITIES) + 1, dim=DIM)
    query = head(tf.random.stateless_normal([1, 7], [0, 1])).numpy()[0]
    expected = 0.0
    if pattern:
        vectors = [inputs[name]["vector"].numpy()[pattern] for name in MODALITIES]
        vectors.append(fusion.early(inputs).numpy()[pattern])
        blocks = [unit(v @ layer.kernel.numpy()) for v, layer in zip(vectors, fusion.late.projections, strict=True)]
        present = np.array([*PATTERNS[pattern], True])  # the fused block is there where any modality is
        weights = np.exp(LOGITS) * present
        cosines = [q @ c if b else 0.0 for q, c, b in zip(query.reshape(4, DIM), blocks, present, strict=True)]
        expected = weights @ cosines / weights.sum()
    np.testing.assert_allclose(query @ candidate, expected, rtol=1e-5, atol=1e-6)


def test_the_fused_block_stands_last():
    fusion = HybridFusion(DIM)
    fusion(embedded())
    fusion.early.output_layer.bias.assign(tf.ones([DIM]))  # as after some training: it gives a vector for nothing too
    blocks = fusion(embedded()).numpy().reshape(-1, 4, DIM)
    there = np.linalg.norm(blocks, axis=2) > 0
    np.testing.assert_array_equal(there, np.column_stack([PATTERNS, PATTERNS.any(axis=1)]))
    assert fusion.stands_last


def test_one_modality_is_enough():
    parts = {"only": {"vector": tf.ones([1, 3]), "present": tf.constant([True])}}
    blocks = HybridFusion(DIM)(parts).numpy().reshape(2, DIM)
    np.testing.assert_allclose(np.linalg.norm(blocks, axis=1), [0.5, 0.5], rtol=1e-5)


def test_sequences_of_modalities_are_no_concern_of_it():
    parts = embedded()
    expected_shape = HybridFusion(DIM)(parts).shape
    parts["words"] |= {"sequence": tf.ones([8, 2, 4]), "sequence_mask": tf.ones([8, 2], tf.bool)}
    assert HybridFusion(DIM)(parts).shape == expected_shape


def test_a_size_below_one_is_refused():
    with pytest.raises(UsageError, match="must be at least 1, got"):
        HybridFusion(0)
