import numpy as np
import pytest

from tfmmrec.data.fashion_shapes import TYPES, cut_garment


@pytest.mark.parametrize("type", TYPES)
def test_a_cut_lies_in_its_square_and_varies(type):
    rng = np.random.default_rng(0)
    cuts = [cut_garment(type, rng) for _ in range(5)]
    for cut in cuts:
        assert cut.cloth
        for points in cut.cloth + cut.seams + cut.trims + cut.straps:
            assert points.ndim == 2
            assert points.shape[1] == 2
            assert np.abs(points).max() <= 1.1
    assert not np.allclose(cuts[0].cloth[0], cuts[1].cloth[0])


@pytest.mark.parametrize("type", ["dress", "skirt", "trousers", "shorts", "t-shirt", "shirt", "jumper", "coat", "bag"])
def test_clothes_are_symmetric(type):
    outline = cut_garment(type, np.random.default_rng(0)).cloth[0]
    assert outline[:, 0].min() == pytest.approx(-outline[:, 0].max())
