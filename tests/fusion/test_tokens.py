import numpy as np
import pytest

from tests.conformance.parts import PATTERNS, embedded, embedded_with_sequences
from tfmmrec.fusion.tokens import Tokens
from tfmmrec.types import UsageError


def test_a_vector_is_a_sequence_of_one():
    layer, parts = Tokens(5), embedded(absent=np.nan)
    for place, (tokens, mask) in enumerate(layer(parts)):
        name = sorted(parts)[place]
        np.testing.assert_array_equal(mask, PATTERNS[:, place, None])
        vectors = np.where(mask, parts[name]["vector"], 0.0)
        np.testing.assert_allclose(tokens[:, 0], vectors @ layer.kernels[name].kernel.numpy(), rtol=1e-5, atol=1e-6)


def test_sequences_where_there_are_any():
    layer, parts = Tokens(6), embedded_with_sequences(absent=np.inf)
    (look, look_mask), (price, price_mask), (words, words_mask) = layer(parts)
    assert (look.shape, price.shape, words.shape) == ((8, 3, 6), (8, 1, 6), (8, 2, 6))
    np.testing.assert_array_equal(look_mask, parts["look"]["sequence_mask"])
    np.testing.assert_array_equal(price_mask, parts["price"]["present"][:, None])
    given = np.where(look_mask[..., None], parts["look"]["sequence"], 0.0)
    np.testing.assert_allclose(look, given @ layer.kernels["look"].kernel.numpy(), rtol=1e-5, atol=1e-6)
    assert not words.numpy()[~words_mask.numpy()].any() and words.numpy()[words_mask.numpy()].all()


def test_an_absent_modality_has_no_tokens_whatever_its_mask_says():
    parts = embedded_with_sequences(patterns=np.ones((8, 3), bool))
    parts["look"]["present"] = np.zeros(8, bool)
    tokens, mask = Tokens(6)(parts)[0]
    assert not np.any(mask) and not np.any(tokens)


def test_the_length_before_the_projection_and_what_is_taken_as_it_is():
    parts = embedded_with_sequences()
    layer = Tokens(4, direct=["words"], scale=0.1)
    (look, mask), _, (words, _) = layer(parts)
    given = parts["look"]["sequence"].numpy()
    given = 0.1 * given / np.maximum(np.linalg.norm(given, axis=2, keepdims=True), 1e-6)
    np.testing.assert_allclose(look, given @ layer.kernels["look"].kernel.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(words, parts["words"]["sequence"])
    assert np.any(mask)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="dim must be at least 1, got 0"):
        Tokens(0)
    with pytest.raises(UsageError, match=r"result's size 3, but look has 5; take it out of direct=\('look',\)"):
        Tokens(3, direct=["look"])(embedded_with_sequences())  # its vector has 3, its tokens have not
