import numpy as np
import tensorflow as tf

from tests.pretrained.inputs import pixels, png
from tfmmrec.encoders import ImageEncoder
from tfmmrec.pretrained.halves import write_halves
from tfmmrec.pretraining.small_image import small_image_halves


def test_it_is_the_small_network_for_pictures(tmp_path):
    made = small_image_halves(dim=8, size=32, seed=3)
    card = write_halves(made, tmp_path)
    raw = tf.constant([png(pixels(40)), b"", png(pixels(24))])
    tf.keras.utils.set_random_seed(3)
    network = ImageEncoder(8, 32, 32)
    network.build()
    expected = network(network.preprocess(raw))["vector"].numpy()
    found = tf.saved_model.load(str(tmp_path))(raw).numpy()
    np.testing.assert_allclose(found[[0, 2]], expected[[0, 2]], rtol=1e-4, atol=1e-5)
    assert card["dim"] == 8 and card["input_kind"] == "image" and card["num_layers"] == 5
    again = small_image_halves(dim=8, size=32, seed=3).variables
    assert all((a.numpy() == b.numpy()).all() for a, b in zip(again, made.variables, strict=True))
