import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import PATTERNS, embedded
from tfmmrec.fusion import EarlyFusion
from tfmmrec.types import UsageError


def side_by_side(inputs):
    """[x_1; …; x_M; b], zero where absent, by name."""
    parts = [inputs[name] for name in sorted(inputs)]
    vectors = [part["vector"].numpy() * part["present"].numpy()[:, None] for part in parts]
    return np.concatenate([*vectors, PATTERNS.astype(np.float32)], axis=1)


def test_without_hidden_layers_it_is_linear():
    fusion, inputs = EarlyFusion(4), embedded(absent=3.0)
    found = fusion(inputs)
    kernel, bias = fusion.get_weights()
    np.testing.assert_allclose(found, side_by_side(inputs) @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_with_hidden_layers_and_activation():
    fusion, inputs = EarlyFusion(4, [6, 5], activation="tanh", dropout=0.5), embedded()
    found = fusion(inputs, training=False)
    kernel_1, bias_1, kernel_2, bias_2, kernel_3, bias_3 = fusion.get_weights()[:6]
    x = np.maximum(side_by_side(inputs) @ kernel_1 + bias_1, 0)
    x = np.maximum(x @ kernel_2 + bias_2, 0)
    np.testing.assert_allclose(found, np.tanh(x @ kernel_3 + bias_3), rtol=1e-4, atol=1e-6)


def test_a_missing_modality_is_told_apart_from_a_vector_of_zeros():
    fusion = EarlyFusion(4)
    zeros = {"a": {"vector": tf.zeros([2, 3]), "present": tf.constant([True, False])}}
    there, missing = fusion(zeros).numpy()
    kernel, bias = fusion.get_weights()
    np.testing.assert_allclose(there, kernel[3] + bias, rtol=1e-5)
    np.testing.assert_allclose(missing, bias)


def test_dropout_acts_on_hidden_layers_in_training_only():
    fusion, inputs = EarlyFusion(4, [64], dropout=0.5), embedded()
    plain = fusion(inputs, training=False).numpy()
    one, other = fusion(inputs, training=True).numpy(), fusion(inputs, training=True).numpy()
    assert (one != other).any() and (one != plain).any()
    np.testing.assert_array_equal(fusion(inputs, training=False), plain)


def test_sizes_below_one_are_refused():
    with pytest.raises(UsageError, match=r"fusion sizes must be at least 1, got dim=0, hidden_dims=\(\)"):
        EarlyFusion(0)
    with pytest.raises(UsageError, match=r"got dim=3, hidden_dims=\(4, 0\)"):
        EarlyFusion(3, [4, 0])
    with pytest.raises(UsageError, match=r"dropout must lie in \[0, 1\), got 1.0"):
        EarlyFusion(3, [4], dropout=1.0)


def test_dropout_is_checked_without_hidden_layers_too():
    with pytest.raises(UsageError, match=r"dropout must lie in \[0, 1\), got 2.0"):
        EarlyFusion(3, dropout=2.0)


def test_direct_modalities_are_added_as_they_are():
    fusion = EarlyFusion(dim=3, direct=["id"])
    present = tf.constant([True, False])
    identity = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    embedded = {
        "id": {"vector": identity, "present": present},
        "text": {"vector": tf.ones([2, 5]), "present": tf.constant([True, True])},
    }
    whole = fusion(embedded).numpy()
    unknown = fusion(embedded | {"id": {"vector": identity, "present": tf.constant([False, False])}}).numpy()
    kernel = fusion.output_layer.kernel.numpy()  # five of the text, then presence of id and of text
    # without the id, its vector is gone and its presence too
    np.testing.assert_allclose(whole[0] - unknown[0], identity[0] + kernel[5], atol=1e-6)
    np.testing.assert_allclose(whole[1], unknown[1], atol=1e-6)


def test_a_direct_modality_of_another_size_is_refused():
    embedded = {"id": {"vector": tf.ones([1, 4]), "present": tf.constant([True])}}
    with pytest.raises(UsageError, match="size 3, got 4"):
        EarlyFusion(dim=3, direct=["id"])(embedded)


def test_scale_brings_the_others_to_one_length():
    fusion = EarlyFusion(dim=2, scale=0.1)
    present = tf.constant([True])
    short = fusion({"text": {"vector": tf.constant([[3.0, 4.0]]), "present": present}})
    long = fusion({"text": {"vector": tf.constant([[300.0, 400.0]]), "present": present}})
    np.testing.assert_allclose(short, long, atol=1e-6)
    kernel, bias = (variable.numpy() for variable in fusion.output_layer.variables)
    np.testing.assert_allclose(short[0], np.array([0.06, 0.08, 1.0]) @ kernel + bias, atol=1e-6)
