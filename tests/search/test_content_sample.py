import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import embedded
from tfmmrec.fusion import EarlyFusion, LateFusion
from tfmmrec.search import ContentSample

NAMES = ["look", "price", "words"]


@pytest.mark.parametrize("make", [lambda: EarlyFusion(4, [6]), lambda: LateFusion(4)], ids=["early", "late"])
def test_the_mean_of_the_sample_as_if_it_had_the_same_modalities(make):
    fusion, parts = make(), embedded(seed=3)
    sample = ContentSample({name: {key: value.numpy() for key, value in part.items()} for name, part in parts.items()})
    rows = np.array([[True, False, True], [False, False, True], [True, False, True], [False, False, False]])
    given = {name: tf.constant(rows[:, place]) for place, name in enumerate(NAMES)}
    found = tf.function(lambda: sample.means(fusion, given))()
    for row, mean in zip(rows, found.numpy(), strict=True):
        kept = {
            name: parts[name] | {"present": parts[name]["present"] & row[place]} for place, name in enumerate(NAMES)
        }
        np.testing.assert_allclose(mean, fusion(kept).numpy().mean(axis=0), atol=1e-6)


def test_sets_of_modalities_are_embedded_once_each():
    parts, calls = embedded(), []
    sample = ContentSample(parts)

    def embed(modalities):
        calls.append([name for name in NAMES if modalities[name]["present"].numpy().any()])
        return modalities["look"]["vector"]

    present = {name: tf.constant([True, True, False, True]) for name in NAMES}
    assert sample.means(embed, present).shape == (4, 3)
    assert calls == [NAMES, []]


def test_arrays_are_named_after_the_modalities():
    sample = ContentSample({"größe": {"vector": np.ones((2, 3), np.float32), "present": np.array([True, False])}})
    assert {name: list(array.shape) for name, array in sample.arrays().items()} == {
        "größe_vector": [2, 3],
        "größe_present": [2],
    }
