import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.pretraining import PretrainingOptions
from tfmmrec.pretraining.augmentation_pairs import AugmentationPairs, nt_xent
from tfmmrec.pretraining.trainable_encoder import TrainableEncoder


def test_nt_xent():
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T / 0.2
    losses, found = [], []
    for i, partner in enumerate([1, 0, 3, 2, 5, 4]):
        others = [j for j in range(6) if j != i]
        losses.append(np.log(np.exp(cosines[i, others]).sum()) - cosines[i, partner])
        found.append(others[cosines[i, others].argmax()] == partner)
    loss, accuracy = nt_xent(tf.constant(vectors), 0.2)
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-5)
    assert float(accuracy) == pytest.approx(np.mean(found))
    same = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)  # partners are equal, others at right angles
    assert float(nt_xent(tf.constant(same), 0.01)[0]) == pytest.approx(0, abs=1e-6)
    assert float(nt_xent(tf.ones([6, 4]), 0.2)[0]) == pytest.approx(np.log(5), rel=1e-5)


@pytest.fixture(scope="module")
def encoder(small_image):
    return TrainableEncoder(small_image)


def test_pictures_are_changed(encoder):
    goal = AugmentationPairs({"photo": encoder}, PretrainingOptions(least_area=0.5))
    pixels = tf.constant(np.random.default_rng(1).integers(0, 256, (8, 16, 16, 3)), tf.uint8)
    changed = goal.changed(pixels, tf.constant([1, 2]))
    assert changed.dtype == tf.uint8 and changed.shape == pixels.shape
    assert all((changed[i].numpy() != pixels[i].numpy()).any() for i in range(8))
    np.testing.assert_array_equal(changed, goal.changed(pixels, tf.constant([1, 2])))
    still = AugmentationPairs({"photo": encoder}, PretrainingOptions(least_area=1.0, jitter=0, grayscale=0))
    kept = still.changed(pixels, tf.constant([1, 2])).numpy()
    mirrored = pixels.numpy()[:, :, ::-1]
    is_same = [(kept[i] == pixels[i].numpy()).all() or (kept[i] == mirrored[i]).all() for i in range(8)]
    assert all(is_same), "without crops, light and colour there are mirrored ones only"


def test_equal_versions_find_each_other(encoder):
    goal = AugmentationPairs({"photo": encoder}, PretrainingOptions(temperature=0.1))
    pixels = tf.constant(np.random.default_rng(1).integers(0, 256, (8, 16, 16, 3)), tf.uint8)
    inputs = {"photo": {"pixels": pixels, "group": tf.range(8)}}
    loss, accuracy = goal.loss(inputs, tf.constant([1, 2]))
    again, _ = goal.loss(inputs, tf.constant([1, 2]))
    other, _ = goal.loss(inputs, tf.constant([1, 3]))
    assert float(loss) == float(again) != float(other) and 0 <= float(accuracy) <= 1
    assert goal.chance(8) == pytest.approx(np.log(15))
    with tf.GradientTape() as tape:
        loss, _ = goal.loss(inputs, tf.constant([1, 2]))
    assert all(gradient is not None for gradient in tape.gradient(loss, [*encoder.trainable, *goal.head]))
