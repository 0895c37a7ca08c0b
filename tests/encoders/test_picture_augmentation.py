import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders.picture_augmentation import MANNERS, PictureAugmentation
from tfmmrec.types import UsageError


def pixels(batch=8, height=10, width=6):
    return np.random.default_rng(0).integers(0, 256, (batch, height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("manner", MANNERS)
def test_in_training_alone_and_each_time_another(manner):
    layer, given = PictureAugmentation(manner, seed=1), tf.constant(pixels())
    for training in (False, None):
        assert layer(given, training=training) is given
    step = tf.function(lambda: layer(given, training=True))
    changed = np.stack([step().numpy() for _ in range(3)])
    assert changed.dtype == np.uint8 and changed.shape == (3, *given.shape)
    is_same = (changed == given.numpy()).all(axis=(2, 3, 4))
    assert is_same.all() if manner == "none" else not is_same.all(axis=1).any()
    again = PictureAugmentation(manner, seed=1)
    np.testing.assert_array_equal([again(given, training=True) for _ in range(3)], changed)
    if manner != "none":
        assert (changed[0] != changed[1]).any() and (changed[1] != changed[2]).any()
        other = PictureAugmentation(manner, seed=2)
        assert (other(given, training=True).numpy() != changed[0]).any()


@pytest.mark.parametrize("manner", ["flip", "crop"])
def test_floats_of_any_range_are_flipped_and_cropped(manner):
    given = tf.constant(pixels() / 20.0 - 6.0, tf.float32)
    changed = PictureAugmentation(manner, seed=3)(given, training=True).numpy()
    assert changed.min() >= given.numpy().min() - 1e-5 and changed.max() <= given.numpy().max() + 1e-5
    assert (changed != given.numpy()).any() and changed.min() < -4 and changed.max() > 5


def test_a_flip_keeps_every_pixel():
    given = pixels()
    changed = PictureAugmentation("flip", seed=3)(tf.constant(given), training=True).numpy()
    is_flipped = (changed == given[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((changed == given).all(axis=(1, 2, 3)) | is_flipped).all() and 0 < is_flipped.sum() < 8


def test_a_crop_changes_no_colour_and_full_does():
    """Of a picture of one colour every part is the same."""
    given = tf.constant(np.tile(np.uint8([200, 90, 40]), (8, 10, 6, 1)))
    np.testing.assert_array_equal(PictureAugmentation("crop", seed=3)(given, training=True), given)
    changed = PictureAugmentation("full", seed=3)(given, training=True).numpy()
    assert (np.ptp(changed, axis=(1, 2)) <= 1).all()
    assert len(np.unique(changed[:, 0, 0], axis=0)) > 4


def test_a_checkpoint_remembers_the_draws(tmp_path):
    layer, given = PictureAugmentation("crop", seed=5), tf.constant(pixels())
    layer(given, training=True)
    tf.train.Checkpoint(layer=layer).write(str(tmp_path / "one"))
    expected = layer(given, training=True)
    resumed = PictureAugmentation("crop", seed=5)
    tf.train.Checkpoint(layer=resumed).read(str(tmp_path / "one")).assert_consumed()
    np.testing.assert_array_equal(resumed(given, training=True), expected)


def test_a_checkpoint_from_before_it_can_be_read(tmp_path):
    """Where nothing is changed it has no weights, and is no part of what is stored."""

    def part(**more):
        layer = tf.keras.layers.Dense(2)
        layer.build([None, 3])
        for name, value in more.items():
            setattr(layer, name, value)
        return layer

    old, new = part(), part(augmentation=PictureAugmentation())
    tf.train.Checkpoint(part=old).write(str(tmp_path / "old"))
    tf.train.Checkpoint(part=new).read(str(tmp_path / "old")).assert_existing_objects_matched().assert_consumed()
    np.testing.assert_array_equal(new.kernel, old.kernel)


def test_what_is_refused():
    with pytest.raises(UsageError, match="augmentation must be one of none, flip, crop, full, got 'mixup'"):
        PictureAugmentation("mixup")
    with pytest.raises(UsageError, match="of float32 pixels it is not known .* use 'crop' or 'flip'"):
        PictureAugmentation("full")(tf.zeros([1, 4, 4, 3]), training=True)
    layer = PictureAugmentation("crop", seed=9)
    assert PictureAugmentation.from_config(layer.get_config()).get_config() == layer.get_config()
