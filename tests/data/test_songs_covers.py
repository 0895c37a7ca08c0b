import io

import numpy as np
import pytest
from PIL import Image

from tfmmrec.data.songs_covers import MOTIONS, NUM_FRAMES, SIZE, animate
from tfmmrec.types import UsageError


def frames(motion, seed=0):
    picture = Image.open(io.BytesIO(animate(motion, np.random.default_rng(seed))))
    found = []
    for number in range(picture.n_frames):
        picture.seek(number)
        found.append(np.asarray(picture.convert("RGB"), float))
    return np.stack(found)[:, : SIZE - 1]  # the last line counts the frames


def masks(motion, seed=0):
    """Where the shape is, bool `[frames, height, width]`: what differs from the background, the commonest colour."""
    found = frames(motion, seed)
    flat = found.reshape(-1, 3)
    colours, counts = np.unique(flat, axis=0, return_counts=True)
    return np.abs(found - colours[counts.argmax()]).sum(axis=3) > 60


@pytest.mark.parametrize("motion", MOTIONS)
def test_an_animation_has_its_frames(motion):
    assert frames(motion).shape == (NUM_FRAMES, SIZE - 1, SIZE, 3)
    assert animate(motion, np.random.default_rng(5)) == animate(motion, np.random.default_rng(5))
    assert animate(motion, np.random.default_rng(5)) != animate(motion, np.random.default_rng(6))


@pytest.mark.parametrize("seed", range(3))
def test_what_moves_is_what_the_motion_says(seed):
    still = masks("still", seed)
    assert (still == still[0]).mean() > 0.999

    def spread(motion):
        shown = [np.argwhere(mask) for mask in masks(motion, seed) if mask.any()]
        sizes = np.array([len(points) for points in shown])
        centres = np.array([points.mean(axis=0) for points in shown])
        return {"height": np.ptp(centres[:, 0]), "width": np.ptp(centres[:, 1]), "size": sizes.max() / sizes.min()}

    assert spread("bounce")["height"] > 8 > 3 > spread("bounce")["width"]
    assert spread("pulse")["size"] > 3 > 1.6 > spread("spin")["size"]
    assert spread("drift")["width"] > 3
    empty = [not mask.any() for mask in masks("blink", seed)]
    assert 2 <= sum(empty) <= 6


def test_a_motion_that_does_not_exist_is_refused():
    with pytest.raises(UsageError, match="motion 'dance' does not exist in the catalogue; pass one of still, spin"):
        animate("dance", np.random.default_rng(0))
