import numpy as np
import pytest
import tensorflow as tf

from tests.pretrained.inputs import pixels, png
from tfmmrec.pretrained import read_card

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("file", ["whole.weights.h5", "bare.weights.h5"])
def test_weights_with_the_classifier_and_without(exported, file):
    cells = exported.expected["mobilenet cells"][0]  # [height, width, channels]
    found = exported.load(file)(tf.constant([png(pixels(32)), b""]))
    np.testing.assert_allclose(found[0], cells.mean((0, 1)), rtol=1e-4, atol=1e-5)
    card = read_card(exported.folder / file)
    assert (card["network"], card["weights"], card["untrained"]) == ("MobileNetV3Small", file, False)
    assert card["num_trainable_weights"] < card["num_weights"], "means and variances are not trained"
    assert card["fingerprint"] == read_card(exported.folder / "bare.weights.h5")["fingerprint"]


def test_random_weights_say_so(exported):
    card = read_card(exported.folder / "random")
    assert card["untrained"] and card["weights"] is None and card["pooling"] == "max"


def test_each_network_has_the_size_that_keras_gives_it(exported):
    sizes = {name.removeprefix("size "): int(size) for name, size in exported.expected.items() if name[:5] == "size "}
    assert len(sizes) > 30 and sizes["EfficientNetV2M"] == 480 and sizes["NASNetLarge"] == 331
    assert {name: int(exported.expected[f"own size {name}"]) for name in sizes} == sizes


def test_the_scale_of_released_weights_is_restored(exported):
    mean, variance = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3])
    expected = (pixels(32) / 255.0 - mean) / np.sqrt(variance) / np.sqrt([0.229, 0.224, 0.225])
    np.testing.assert_allclose(exported.expected["efficientnet norm"][0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("weights of another network", "bare.weights.h5: expected weights of applications:MobileNetV3Large"),
        ("no such network", "applications:ResNet51: expected one of applications:ConvNeXtBase, "),
        ("a small picture", "image_size must be at least 32 for applications:MobileNetV3Small, got 8"),
    ],
)
def test_what_cannot_be_exported(exported, name, message):
    assert message in exported.refused[name]
