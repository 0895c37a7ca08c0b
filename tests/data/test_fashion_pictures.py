import itertools

import numpy as np
import pytest

from tfmmrec.data.fashion_pictures import COLOURS, PATTERNS, paint_garment, render_garment
from tfmmrec.data.fashion_shapes import TYPES
from tfmmrec.types import UsageError

EVERYTHING = list(itertools.product(TYPES, COLOURS, PATTERNS))


@pytest.fixture(scope="module")
def painted():
    rng = np.random.default_rng(0)
    return {attributes: paint_garment(*attributes, rng) for attributes in EVERYTHING}


def _inside(picture, mask):
    return np.asarray(picture, np.float64)[mask > 0.99]


def test_same_state_same_picture_other_state_another():
    first, second, third = (
        np.asarray(render_garment("dress", "red", "dots", np.random.default_rng(seed))) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first.astype(int) - third).mean() > 1


def test_size():
    picture = render_garment("hat", "blue", "plain", np.random.default_rng(0), size=96)
    assert picture.size == (96, 96)
    assert picture.mode == "RGB"


def test_the_garment_has_its_colour(painted):
    names = list(COLOURS)
    palette = np.array([COLOURS[name][0] for name in names], np.float64)
    right = [
        names[np.linalg.norm(palette - _inside(*painted[a]).mean(axis=0), axis=1).argmin()] == a[1]
        for a in EVERYTHING
        if a[2] == "plain"
    ]
    assert np.mean(right) > 0.97
    # With a pattern: most of the cloth still has the colour.
    for attributes in EVERYTHING:
        pixels = _inside(*painted[attributes])
        nearest = np.linalg.norm(pixels[:, None] - palette, axis=2).argmin(axis=1)
        shares = np.bincount(nearest, minlength=len(names)) / len(nearest)
        assert shares[names.index(attributes[1])] > 0.25, attributes


def test_patterned_cloth_varies_more_than_plain(painted):
    varies = []
    for type, colour in itertools.product(TYPES, COLOURS):
        spread = {p: _inside(*painted[type, colour, p]).std(axis=0).mean() for p in PATTERNS}
        varies += [spread[p] > spread["plain"] for p in PATTERNS if p != "plain"]
    assert np.mean(varies) > 0.98  # a light hat's dark band varies as much as its checks


def test_types_differ_in_outline():
    """A garment's outline is nearer to the mean outline of its own type than to any other's."""
    rng = np.random.default_rng(1)

    def outlines(count):
        return {t: np.stack([paint_garment(t, "red", "plain", rng)[1] for _ in range(count)]) for t in TYPES}

    means = np.stack([masks.mean(axis=0) for masks in outlines(24).values()])
    right = [
        list(TYPES)[((means - mask) ** 2).sum(axis=(1, 2)).argmin()] == type
        for type, masks in outlines(12).items()
        for mask in masks
    ]
    assert np.mean(right) > 0.8


def test_the_garment_fills_the_picture_and_stays_inside(painted):
    for attributes, (_, mask) in painted.items():
        assert 0.08 < mask.mean() < 0.7, attributes
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert border.mean() < 0.05, attributes


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (("sock", "red", "dots"), "type 'sock' does not exist in the catalogue; pass one of dress, skirt"),
        (("hat", "teal", "dots"), "colour 'teal' does not exist in the catalogue; pass one of black, grey"),
        (
            ("hat", "red", "paisley"),
            "pattern 'paisley' does not exist in the catalogue; pass one of plain, stripes",
        ),
    ],
)
def test_unknown_attributes_are_refused(attributes, message):
    with pytest.raises(UsageError, match=message):
        render_garment(*attributes, np.random.default_rng(0))
