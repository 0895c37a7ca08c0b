import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import PATTERNS, SEQUENCES, embedded, embedded_with_sequences
from tfmmrec.fusion import CrossAttentionFusion
from tfmmrec.types import UsageError


def softmax(scores, mask):
    """Over the last axis, of what the mask leaves."""
    weights = np.where(mask, np.exp(scores), 0.0)
    return weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-30)


def attention(layer, tokens, mask):
    """Multi-head attention of tokens `[n, dim]` over one another where `mask` `[n, n]` is True."""
    size, heads = layer.dim // layer.num_heads, []
    query, key, value = (tokens @ part.kernel.numpy() for part in (layer.query, layer.key, layer.value))
    for start in range(0, layer.dim, size):
        head = slice(start, start + size)
        weights = softmax(query[:, head] @ key[:, head].T / np.sqrt(size), mask)
        heads.append(weights @ value[:, head])
    return np.concatenate(heads, axis=1) @ layer.output_layer.kernel.numpy()


def pooled(layer, tokens, mask, groups):
    """Σ_i a_i x_i of tokens `[n, dim]` of these groups."""
    hidden = np.tanh(tokens @ layer.hidden.kernel.numpy() + layer.biases.numpy()[groups])
    return softmax(hidden @ layer.score.numpy(), mask) @ tokens


def fused(fusion, parts, row):
    """One row by the definition, step by step."""
    tokens, masks, places = [], [], []
    for place, name in enumerate(sorted(parts)):
        part = {key: value.numpy()[row] for key, value in parts[name].items()}
        own, mask = part["vector"][None], np.array([part["present"]])
        if "sequence" in part:
            own, mask = part["sequence"], part["sequence_mask"]
        own = np.where(mask[:, None], own, 0.0) @ fusion.tokens.kernels[name].kernel.numpy()
        if "sequence" in part:
            own = own + attention(fusion.within[name], own, np.tile(mask, (len(mask), 1)))
            if fusion.hierarchical:
                own = pooled(fusion.summaries[name], own, mask, [0] * len(mask))[None]
                mask = np.array([mask.any()])
        tokens, masks, places = [*tokens, own], [*masks, mask], [*places, *[place] * len(own)]
    tokens, mask = np.concatenate(tokens), np.concatenate(masks)
    seen = np.array([[there and i != j for j, there in zip(places, mask, strict=True)] for i in places])
    return pooled(fusion.pooling, tokens + attention(fusion.across, tokens, seen), mask, places)


def disturbed(fusion, parts):
    """With weights that are not the initial ones."""
    fusion(parts)
    random = np.random.default_rng(4)
    fusion.set_weights([weight + random.normal(size=weight.shape, scale=0.5) for weight in fusion.get_weights()])
    return fusion


@pytest.mark.parametrize("hierarchical", [True, False])
@pytest.mark.parametrize("num_heads", [1, 2])
@pytest.mark.parametrize("inputs", [embedded, embedded_with_sequences])
def test_step_by_step(inputs, num_heads, hierarchical):
    parts = inputs(absent=7.0)
    fusion = disturbed(CrossAttentionFusion(6, num_heads, hierarchical), parts)
    found = fusion(parts).numpy()
    expected = [fused(fusion, parts, row) for row in range(len(PATTERNS))]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert not found[0].any() and found[1:].any(axis=1).all()  # nothing is there in the first row


def test_between_single_vectors_both_forms_are_the_same():
    parts = embedded()
    one, other = CrossAttentionFusion(4, 2, True), CrossAttentionFusion(4, 2, False)
    disturbed(one, parts)
    other(parts)
    other.set_weights(one.get_weights())
    np.testing.assert_array_equal(one(parts), other(parts))
    assert not one.within and not one.summaries


def test_only_sequences_have_attention_within():
    fusion = CrossAttentionFusion(4, 2)
    fusion(embedded_with_sequences())
    assert set(fusion.within) == set(fusion.summaries) == set(SEQUENCES)


@pytest.mark.parametrize("hierarchical", [True, False])
def test_a_modality_alone_has_no_others_to_look_at(hierarchical):
    parts = {"look": embedded_with_sequences()["look"]}
    fusion = CrossAttentionFusion(4, 2, hierarchical)
    found = fusion(parts).numpy()
    assert not fusion.across.weights and not found[~PATTERNS[:, 0]].any() and found[PATTERNS[:, 0]].any(axis=1).all()
    price = {"price": embedded()["price"]}
    fusion = CrossAttentionFusion(4, 2, hierarchical)
    found = fusion(price).numpy()  # one token: its own projection
    expected = price["price"]["vector"].numpy() @ fusion.tokens.kernels["price"].kernel.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("hierarchical", [True, False])
def test_what_is_behind_the_end_of_a_sequence_moves_neither_values_nor_gradients(hierarchical):
    fusion = CrossAttentionFusion(4, 2, hierarchical, scale=0.1)

    def values_and_gradients(absent):
        parts = embedded_with_sequences(absent=absent)
        with tf.GradientTape() as tape:
            fused = fusion(parts)
            total = tf.reduce_sum(fused * tf.range(4.0))
        return [fused, *tape.gradient(total, fusion.trainable_variables)]

    for found, expected in zip(values_and_gradients(np.nan), values_and_gradients(0.0), strict=True):
        assert np.isfinite(expected).all()
        np.testing.assert_array_equal(found, expected)


def test_a_sequence_of_no_tokens_is_as_absent():
    parts = embedded_with_sequences(patterns=np.ones((8, 3), bool))
    parts["look"]["sequence_mask"] = tf.zeros([8, 3], tf.bool)
    absent = parts | {"look": parts["look"] | {"present": tf.zeros([8], tf.bool)}}
    fusion = CrossAttentionFusion(4, 2)
    np.testing.assert_array_equal(fusion(parts), fusion(absent))


def test_direct_modalities_are_taken_as_they_are():
    words = {"words": embedded()["words"]}
    np.testing.assert_array_equal(CrossAttentionFusion(4, 2, direct=["words"])(words), words["words"]["vector"])


def test_arguments_that_are_refused():
    with pytest.raises(UsageError, match="divide dim, got num_heads=4 and dim=6"):
        CrossAttentionFusion(6)
    with pytest.raises(UsageError, match="at least one modality, got none"):
        CrossAttentionFusion(4)({})
    with pytest.raises(UsageError, match="result's size 3, but words has 4"):
        CrossAttentionFusion(3, 1, direct=["words"])(embedded())
