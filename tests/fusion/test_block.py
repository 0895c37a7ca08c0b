import numpy as np
import pytest

from tests.conformance.parts import PATTERNS, embedded
from tfmmrec.fusion import BlockFusion, OneHead
from tfmmrec.types import UsageError


@pytest.mark.parametrize("scale", [None, 0.1])
def test_the_score_is_vbpr_s_for_every_presence_pattern(scale):
    parts = embedded(absent=np.nan)
    parts["id"] = parts.pop("words")  # [γ ; β] of 3 + 1 numbers
    fusion = BlockFusion(5, scale=scale)
    candidates = fusion(parts).numpy()
    assert candidates.shape == (8, 3 + 2 * 5 + 1)
    random = np.random.default_rng(1)
    gamma_u, theta = random.normal(size=(4, 3)), {name: random.normal(size=(4, 5)) for name in ("look", "price")}
    queries = np.concatenate([gamma_u, theta["look"], theta["price"]], axis=1).astype(np.float32)
    scores = OneHead()(queries).numpy() @ candidates.T

    def vectors(name, present):
        return np.where(present[:, None], parts[name]["vector"], 0.0)

    identity = vectors("id", PATTERNS[:, 2])
    expected = gamma_u @ identity[:, :3].T + identity[:, 3]
    for place, name in enumerate(("look", "price")):
        features = vectors(name, PATTERNS[:, place])
        if scale is not None:
            features = features * scale / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)
        kernel = fusion.projections[name].kernel.numpy()  # [E ; β']
        expected = expected + theta[name] @ (features @ kernel[:, :5]).T + features @ kernel[:, 5]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_a_size_below_one_is_refused():
    with pytest.raises(UsageError, match="dim must be at least 1, got 0"):
        BlockFusion(0)
