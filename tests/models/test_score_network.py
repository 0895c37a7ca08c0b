import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.models.score_network import ScoreNetwork
from tfmmrec.types import UsageError

INPUTS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


@pytest.mark.parametrize("use_bias", [True, False])
def test_it_is_a_network_with_one_output(use_bias):
    network = ScoreNetwork([5, 3], use_bias=use_bias)
    network(INPUTS)
    for number, variable in enumerate(network.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [number, 1]))
    x = INPUTS
    for layer in network.hidden:
        x = np.maximum(x @ layer.kernel.numpy() + layer.bias.numpy(), 0.0)
    bias = network.output_layer.bias.numpy() if use_bias else 0.0
    expected = (x @ network.output_layer.kernel.numpy() + bias)[:, 0]
    np.testing.assert_allclose(network(INPUTS), expected, rtol=1e-4, atol=1e-5)


def test_dropout_is_for_training():
    network = ScoreNetwork([50], dropout=0.5)
    whole = network(INPUTS, training=False)
    assert not np.allclose(network(INPUTS, training=True), whole)
    np.testing.assert_array_equal(network(INPUTS, training=False), whole)


def test_it_comes_back_from_its_config():
    network = ScoreNetwork([5], dropout=0.25, use_bias=False, name="network")
    again = ScoreNetwork.from_config(network.get_config())
    assert again.get_config() == network.get_config()
    assert (again.hidden_dims, again.dropout, again.use_bias) == ((5,), 0.25, False)


def test_a_layer_without_units_is_refused():
    with pytest.raises(UsageError, match=r"hidden layers need at least 1 unit, got hidden_dims=\(4, 0\)"):
        ScoreNetwork([4, 0])
