import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders.augmentation import color_jitter, random_flip, random_resized_crop
from tfmmrec.types import UsageError

SEED = np.array([3, 7])
CHANGES = {"crop": random_resized_crop, "flip": random_flip, "jitter": color_jitter}


def pictures(batch=16, height=12, width=10):
    return tf.constant(np.random.default_rng(0).random((batch, height, width, 3)), tf.float32)


@pytest.mark.parametrize("name", CHANGES)
def test_each_picture_is_changed_by_its_seed_alone(name):
    change, given = CHANGES[name], pictures()
    eager = change(given, SEED).numpy()
    # under XLA shapes are static, and every op has to be one that it compiles; its random numbers are others
    compiled = tf.function(change, jit_compile=True)(given, SEED).numpy()
    unknown = tf.function(change, input_signature=[tf.TensorSpec([None, 12, 10, 3]), tf.TensorSpec([2], tf.int64)])
    assert eager.shape == given.shape and eager.min() >= 0 and eager.max() <= 1
    assert compiled.shape == given.shape and compiled.min() >= 0 and compiled.max() <= 1
    np.testing.assert_array_equal(eager, change(given, SEED))
    np.testing.assert_allclose(unknown(given, SEED), eager, atol=2e-5)
    assert np.abs(change(given, SEED + 1).numpy() - eager).max() > 0.01
    one = tf.repeat(given[:1], 16, axis=0)
    changed = change(one, SEED).numpy()
    assert len(np.unique(changed.round(4).reshape(16, -1), axis=0)) == (2 if name == "flip" else 16)


@pytest.mark.parametrize("name", CHANGES)
def test_frames_of_a_clip_are_changed_alike(name):
    frames = tf.repeat(pictures(6), 4, axis=0)  # six clips of four equal frames
    changed = CHANGES[name](frames, SEED, repeats=4).numpy().reshape(6, 4, -1)
    np.testing.assert_array_equal(changed, np.repeat(changed[:, :1], 4, axis=1))
    np.testing.assert_allclose(changed[:, 0], CHANGES[name](pictures(6), SEED).numpy().reshape(6, -1), atol=1e-6)


def test_replicas_have_draws_of_their_own():
    from tfmmrec.randomness import RandomDraws

    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    with strategy.scope():
        draws = RandomDraws(seed=1)

    @tf.function
    def step():
        return strategy.run(lambda: random_resized_crop(pictures(2), draws.next_seed()))

    first, second = (tensor.numpy() for tensor in strategy.experimental_local_results(step()))
    again, _ = (tensor.numpy() for tensor in strategy.experimental_local_results(step()))
    assert np.abs(first - second).max() > 0.01 and np.abs(first - again).max() > 0.01


def test_a_flip_exchanges_left_and_right():
    given = pictures(400, 3, 4)
    flipped = random_flip(given, SEED).numpy()
    is_flipped = (flipped == given.numpy()[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((flipped == given.numpy()).all(axis=(1, 2, 3)) ^ is_flipped).all()
    assert 160 < is_flipped.sum() < 240  # half of 400, ± 4 standard deviations
    np.testing.assert_array_equal(random_flip(given, SEED, rate=1.0), given.numpy()[:, :, ::-1])
    np.testing.assert_array_equal(random_flip(given, SEED, rate=0.0), given)


def test_a_crop_of_everything_is_the_picture():
    given = pictures(4, 9, 9)
    np.testing.assert_allclose(random_resized_crop(given, SEED, (1.0, 1.0), (1.0, 1.0)), given, atol=1e-5)
    # a part as large as the whole has but one form
    np.testing.assert_allclose(random_resized_crop(given, SEED, (1.0, 1.0)), given, atol=1e-5)


def test_crops_have_their_areas_ratios_and_places():
    """A picture whose red is the column and whose green is the row says which part of it was cut."""
    height, width, batch = 40, 60, 500
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    grid = np.stack([columns, rows, 0 * rows], axis=-1).astype(np.float32)
    cut = random_resized_crop(tf.constant(np.repeat(grid[None], batch, axis=0)), SEED, (0.2, 0.6), (0.5, 2.0)).numpy()
    left, right = cut[:, 0, 0, 0], cut[:, 0, -1, 0]
    top, bottom = cut[:, 0, 0, 1], cut[:, -1, 0, 1]
    wide, high = right - left + 1, bottom - top + 1
    assert left.min() >= 0 and right.max() <= width - 1 and top.min() >= 0 and bottom.max() <= height - 1
    areas = wide * high / (height * width)
    assert 0.199 < areas.min() < 0.22 and 0.58 < areas.max() < 0.601
    assert abs(areas.mean() - 0.4) < 4 * 0.4 / np.sqrt(12 * batch)
    assert 0.499 < (wide / high).min() < 0.6 and 1.8 < (wide / high).max() < 2.001
    assert left.min() < 2 and right.max() > width - 3 and top.min() < 2 and bottom.max() > height - 3
    # between the corners the part is stretched evenly
    expected = left[:, None] + (right - left)[:, None] * np.linspace(0, 1, width)
    np.testing.assert_allclose(cut[:, 5, :, 0], expected, atol=1e-3)


def test_a_crop_that_no_form_fits_is_as_large_as_it_can_be():
    strip = np.repeat(np.arange(90, dtype=np.float32)[None, None, :, None], 30, axis=1)  # three times as wide as high
    cut = random_resized_crop(tf.constant(np.repeat(strip, 3, axis=3)), SEED, (1.0, 1.0), (1.0, 1.0)).numpy()
    assert cut[0, 0, -1, 0] - cut[0, 0, 0, 0] + 1 == pytest.approx(90 / np.sqrt(3), abs=1e-3)


def test_jitter_by_hand():
    """Factors are read off one picture of a single colour, then the rest is computed with them."""
    given = pictures(1, 6, 5).numpy() * 0.3 + 0.35  # far enough from where it is cut off
    one = np.full((1, 1, 1, 3), 0.4, np.float32)
    factor = color_jitter(tf.constant(one), SEED, 0.9, 0.0, 0.0).numpy()[0, 0, 0, 0] / 0.4
    np.testing.assert_allclose(color_jitter(given, SEED, 0.9, 0.0, 0.0), np.clip(given * factor, 0, 1), atol=1e-6)
    luma = np.array([0.299, 0.587, 0.114], np.float32)

    greys = (given @ luma)[..., None]
    changed = color_jitter(given, SEED, 0.0, 0.3, 0.0).numpy()
    slopes = (changed - greys.mean()) / (given - greys.mean())
    np.testing.assert_allclose(slopes, slopes.mean(), rtol=1e-2)  # one factor for all pixels
    assert 0.7 <= slopes.mean() <= 1.3

    changed = color_jitter(given, SEED, 0.0, 0.0, 0.3).numpy()
    np.testing.assert_allclose((changed @ luma)[..., None], greys, atol=1e-5)  # the greys stay
    slopes = (changed - greys) / (given - greys)
    assert 0.7 <= np.median(slopes) <= 1.3 and np.ptp(np.quantile(slopes, [0.05, 0.95])) < 1e-2


def test_jitter_s_shares_and_no_jitter():
    given = pictures(400, 4, 4)
    np.testing.assert_array_equal(color_jitter(given, SEED, rate=0.0), given)
    np.testing.assert_allclose(color_jitter(given, SEED, 0.0, 0.0, 0.0), given, atol=1e-6)
    changed = color_jitter(given, SEED, rate=0.8).numpy()
    assert 288 < (changed != given.numpy()).any(axis=(1, 2, 3)).sum() < 352  # .8 of 400, ± 4 standard deviations
    changed = color_jitter(given, SEED, rate=0.0, grayscale=0.2).numpy()
    grey = np.ptp(changed, axis=3).max(axis=(1, 2)) == 0
    assert 48 < grey.sum() < 112
    np.testing.assert_allclose(changed[grey][..., 0], given.numpy()[grey] @ [0.299, 0.587, 0.114], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: random_flip(p, SEED, rate=1.5), r"rate must lie in \[0, 1\], got 1.5"),
        (lambda p: color_jitter(p, SEED, grayscale=-1), r"grayscale must lie in \[0, 1\], got -1"),
        (lambda p: color_jitter(p, SEED, contrast=-0.1), "must be 0 or more, got 0.4, -0.1 and 0.4"),
        (lambda p: random_resized_crop(p, SEED, (0.5, 1.5)), r"area must be a range in \(0, 1\]"),
        (lambda p: random_resized_crop(p, SEED, ratio=(2.0, 1.0)), "ratio one above 0"),
        (lambda p: random_resized_crop(p[0], SEED), r"pictures must be \[batch, height, width, 3\]"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call(pictures())
