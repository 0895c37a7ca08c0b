import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import MODALITIES, PATTERNS, embedded
from tfmmrec.fusion.embedded import of_length
from tfmmrec.fusion.projections import Projections
from tfmmrec.types import UsageError


def test_each_modality_has_its_own_projection_and_is_zero_where_absent():
    layer, parts = Projections(5), embedded(absent=np.nan)
    found = layer(parts).numpy()
    assert found.shape == (len(PATTERNS), len(MODALITIES), 5)
    for place, name in enumerate(MODALITIES):
        vectors = np.where(PATTERNS[:, place, None], parts[name]["vector"], 0.0)
        np.testing.assert_allclose(found[:, place], vectors @ layer.kernels[name].kernel.numpy(), atol=1e-6)
        assert not found[~PATTERNS[:, place], place].any()


def test_direct_ones_are_taken_as_they_are():
    layer, parts = Projections(4, direct=["words", "id"]), embedded()
    found = layer(parts).numpy()
    np.testing.assert_array_equal(found[:, 2], np.where(PATTERNS[:, 2, None], parts["words"]["vector"], 0.0))
    assert len(layer.trainable_weights) == 2


def test_the_length_before_the_projection():
    parts = embedded()
    longer = {name: part | {"vector": 100 * part["vector"]} for name, part in parts.items()}
    layer = Projections(4, scale=0.1)
    np.testing.assert_allclose(layer(parts), layer(longer), rtol=1e-4, atol=1e-7)
    lengths = np.linalg.norm(layer(parts), axis=2) / np.linalg.norm(layer.kernels["look"].kernel, 2)
    assert lengths[:, 0].max() < 0.1001


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="dim must be at least 1, got 0"):
        Projections(0)
    with pytest.raises(UsageError, match=r"result's size 5, but words has 4; take it out of direct=\('words',\)"):
        Projections(5, direct=["words"])(embedded())


def test_gradients_reach_absent_rows_as_zero_not_nan():
    layer, parts = Projections(4, scale=0.1), embedded()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(parts) ** 2)
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(total, layer.trainable_weights))


def test_long_vectors_keep_their_length_in_half_precision():
    vectors = tf.fill([1, 2048], 10.0)
    half = of_length(tf.cast(vectors, tf.float16), 0.1)
    np.testing.assert_allclose(np.linalg.norm(half.numpy().astype(np.float32)), 0.1, rtol=1e-2)
    assert half.dtype == tf.float16 and not of_length(tf.zeros([1, 3]), 0.1).numpy().any()
