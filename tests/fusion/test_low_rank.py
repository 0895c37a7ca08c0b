import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import MODALITIES, PATTERNS, embedded
from tfmmrec.fusion import LowRankFusion, TensorFusion
from tfmmrec.types import UsageError


def disturbed(fusion, parts):
    """With weights that are not the initial ones."""
    fusion(parts)
    random = np.random.default_rng(4)
    fusion.set_weights([weight + random.normal(size=weight.shape, scale=0.5) for weight in fusion.get_weights()])
    return fusion


def factors(fusion):
    """W_m^(r) of each modality, by name, `[rank, dim, dim_m + 1]`, the weights of the appended 1 last."""
    found = []
    for layer in fusion.factors:
        whole = np.concatenate([layer.kernel.numpy(), layer.bias.numpy()[None]])  # [dim_m + 1, rank * dim]
        found.append(whole.reshape(-1, fusion.rank, fusion.dim).transpose(1, 2, 0))
    return found


def with_ones(parts):
    """[x_m; 1] of each modality, by name."""
    vectors = [np.where(part["present"].numpy()[:, None], part["vector"], 0.0) for _, part in sorted(parts.items())]
    return [np.concatenate([x, np.ones([len(x), 1])], axis=1) for x in vectors]


def test_sum_over_ranks_of_the_product_over_modalities():
    parts = embedded(absent=np.nan)
    fusion = disturbed(LowRankFusion(5, rank=3), parts)
    expected = np.tile(fusion.bias.numpy(), (len(PATTERNS), 1))
    for r in range(3):
        product = np.ones((len(PATTERNS), 5))
        for weights, x in zip(factors(fusion), with_ones(parts), strict=True):
            product *= x @ weights[r].T
        expected += product
    np.testing.assert_allclose(fusion(parts).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_it_is_tensor_fusion_with_weights_of_that_rank():
    parts = {name: part for name, part in embedded().items() if name != "price"}
    parts = {name: part | {"vector": part["vector"][:, :3]} for name, part in parts.items()}  # two of size 3
    low_rank = disturbed(LowRankFusion(4, rank=2), parts)
    look, words = factors(low_rank)
    weights = np.einsum("rdi,rdj->ijd", look, words)  # row d of W is Σ_r w_look^(r) ⊗ w_words^(r)
    weights[-1, -1] += low_rank.bias.numpy()  # 1 · 1
    tensor = TensorFusion(4, modality_dim=3)
    tensor(parts)
    for layer in tensor.projections.kernels.values():
        layer.kernel.assign(np.eye(3))
    tensor.kernel.assign(weights.reshape(16, 4))
    np.testing.assert_allclose(low_rank(parts), tensor(parts), rtol=1e-4, atol=1e-5)
    weights[-1, -1] -= low_rank.bias.numpy()
    assert all(np.linalg.matrix_rank(weights[:, :, d], tol=1e-5) == 2 for d in range(4))  # summed inside, it were 1


def test_an_absent_modality_is_a_constant_factor():
    parts = embedded(absent=17.0)
    fusion = disturbed(LowRankFusion(4, rank=2), parts)
    row = int(np.flatnonzero((PATTERNS == [True, False, False]).all(axis=1))[0])
    look, price, words = factors(fusion)
    x = with_ones(parts)[0][row]
    expected = ((look @ x) * price[..., -1] * words[..., -1]).sum(axis=0) + fusion.bias.numpy()
    np.testing.assert_allclose(fusion(parts).numpy()[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 4])
@pytest.mark.parametrize("num_modalities", [1, 2, 6, 24])
def test_products_of_many_modalities_start_neither_at_nothing_nor_beyond_bounds(num_modalities, rank):
    random = np.random.default_rng(1)
    present = tf.ones([200], tf.bool)
    parts = {
        f"m{place}": {"vector": tf.constant(random.normal(size=(200, 30)), tf.float32), "present": present}
        for place in range(num_modalities)
    }
    fusion = LowRankFusion(16, rank=rank)
    spread = np.std(fusion(parts).numpy(), axis=0)
    assert 0.2 < spread.mean() < 3.0  # of numbers of size 1: √(e − 1) = 1.3 for rank 1
    nothing = {name: part | {"present": tf.zeros([200], tf.bool)} for name, part in parts.items()}
    np.testing.assert_allclose(fusion(nothing), 0.0, atol=1e-4)


def test_direct_modalities_are_added_and_take_no_part_in_the_product():
    parts = embedded(absent=np.nan)
    fusion = disturbed(LowRankFusion(4, rank=2, direct=["words", "id"], scale=0.1), parts)
    found = fusion(parts).numpy()
    assert len(fusion.factors) == len(MODALITIES) - 1
    look, price = factors(fusion)
    given = {name: part | {"vector": np.nan_to_num(part["vector"])} for name, part in parts.items()}
    words = given.pop("words")["vector"]
    for part in given.values():
        part["vector"] *= 0.1 / np.maximum(np.linalg.norm(part["vector"], axis=1, keepdims=True), 1e-6)
    x, y = with_ones(given)
    product = np.einsum("rdi,bi,rdj,bj->bd", look, x, price, y)
    np.testing.assert_allclose(found, words + product + fusion.bias.numpy(), rtol=1e-4, atol=1e-5)


def test_only_what_is_added():
    words = embedded()["words"]
    np.testing.assert_array_equal(LowRankFusion(4, direct=["words"])({"words": words}), words["vector"])


def test_arguments_that_are_refused():
    with pytest.raises(UsageError, match="dim and rank must be at least 1, got 3 and 0"):
        LowRankFusion(3, rank=0)
    with pytest.raises(UsageError, match="at least one modality, got none"):
        LowRankFusion(3)({})
    with pytest.raises(UsageError, match="result's size 3, but words has 4"):
        LowRankFusion(3, direct=["words"])(embedded())
