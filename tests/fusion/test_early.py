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
