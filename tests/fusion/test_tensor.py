import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import PATTERNS, embedded
from tfmmrec.fusion import TensorFusion
from tfmmrec.types import UsageError


def modalities(count, dim=3):
    """Some modalities of one row."""
    part = {"vector": tf.ones([1, dim]), "present": tf.constant([True])}
    return {f"m{place}": part for place in range(count)}


def with_ones(fusion, parts):
    """[x_m; 1] of each modality, by name, `[batch, modality_dim + 1]`."""
    found = []
    for name in sorted(parts):
        vectors = np.where(parts[name]["present"].numpy()[:, None], parts[name]["vector"], 0.0)
        x = vectors @ fusion.projections.kernels[name].kernel.numpy()
        found.append(np.concatenate([x, np.ones([len(x), 1])], axis=1))
    return found


def test_every_product_of_numbers_of_all_modalities_is_a_feature():
    fusion, parts = TensorFusion(5, modality_dim=2), embedded(absent=np.nan)
    found = fusion(parts).numpy()
    look, price, words = with_ones(fusion, parts)
    expected = np.zeros((len(PATTERNS), 5))
    kernel = fusion.kernel.numpy().reshape(3, 3, 3, 5)  # of look, of price, of words
    for i in range(3):
        for j in range(3):
            for k in range(3):
                expected += (look[:, i] * price[:, j] * words[:, k])[:, None] * kernel[i, j, k]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[0], kernel[2, 2, 2], rtol=1e-6)  # nothing is there: the product of the ones


def test_an_absent_modality_leaves_the_products_without_it():
    fusion, parts = TensorFusion(4, modality_dim=2), embedded()
    row = int(np.flatnonzero((PATTERNS == [True, False, True]).all(axis=1))[0])
    found = fusion(parts).numpy()[row]
    look, _, words = (x[row] for x in with_ones(fusion, parts))
    kernel = fusion.kernel.numpy().reshape(3, 3, 3, 4)[:, 2]  # where the price gives its 1
    np.testing.assert_allclose(found, np.einsum("i,k,ikd->d", look, words, kernel), rtol=1e-4, atol=1e-5)


def test_direct_modalities_are_added_and_take_no_part_in_the_product():
    fusion, parts = TensorFusion(4, modality_dim=3, direct=["words", "id"], scale=0.1), embedded(absent=np.nan)
    found = fusion(parts).numpy()
    assert fusion.kernel.shape == [16, 4]
    words = np.where(PATTERNS[:, 2, None], parts.pop("words")["vector"], 0.0)
    short = {
        name: part | {"vector": 0.1 * part["vector"] / np.linalg.norm(part["vector"], axis=1, keepdims=True)}
        for name, part in embedded(absent=1.0).items()
        if name != "words"
    }
    look, price = with_ones(fusion, short)
    product = np.einsum("bi,bj,ijd->bd", look, price, fusion.kernel.numpy().reshape(4, 4, 4))
    np.testing.assert_allclose(found, words + product, rtol=1e-4, atol=1e-5)


def test_only_what_is_added():
    fusion, words = TensorFusion(4, direct=["words"]), embedded()["words"]
    found = fusion({"words": words}).numpy()
    np.testing.assert_allclose(found, words["vector"] + fusion.kernel[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("count", "max_size", "modality_dim"),
    [
        (1, 100_000, 32),
        (3, 100_000, 32),
        (4, 100_000, 16),
        (5, 100_000, 9),
        (6, 100_000, 5),
        (16, 100_000, 1),
        (2, 16, 3),
    ],
)
def test_the_modalities_size_follows_from_their_number(count, max_size, modality_dim):
    fusion = TensorFusion(2, max_size=max_size)
    assert fusion(modalities(count)).shape == [1, 2]
    assert fusion.kernel.shape[0] == (modality_dim + 1) ** count <= max_size
    larger = (modality_dim + 2) ** count
    assert larger > max_size or modality_dim == 32


def test_too_large_a_product_is_refused_when_the_weights_are_made():
    with pytest.raises(
        UsageError,
        match=r"product of 6 modalities of size 8 has 531,441 numbers in each row, the limit is max_size=100,000; "
        r"use a modality_dim of at most 5 or the low-rank form \(LowRankFusion\)",
    ):
        TensorFusion(2, modality_dim=8)(modalities(6))
    with pytest.raises(UsageError, match=r"of 4 modalities of size 1 has 16 numbers .* max_size=15; use the low-rank"):
        TensorFusion(2, max_size=15)(modalities(4))
    assert TensorFusion(2, modality_dim=1, max_size=16)(modalities(4)).shape == [1, 2]


def test_other_arguments_that_are_refused():
    with pytest.raises(UsageError, match="dim, modality_dim and max_size must be at least 1, got 0, None and 100000"):
        TensorFusion(0)
    with pytest.raises(UsageError, match="got 3, 0 and 100000"):
        TensorFusion(3, modality_dim=0)
    with pytest.raises(UsageError, match="at least one modality, got none"):
        TensorFusion(3)({})
    with pytest.raises(UsageError, match="result's size 3, but words has 4"):
        TensorFusion(3, direct=["words"])(embedded())
