import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import MODALITIES, PATTERNS, embedded
from tfmmrec.fusion import GatedFusion
from tfmmrec.types import UsageError

DIM = 4


def made(**options):
    """A fusion whose gates are neither all half open nor the same."""
    fusion = GatedFusion(DIM, direct=["words"], **options)
    fusion(embedded())
    random = np.random.default_rng(2)
    fusion.gates.set_weights([random.normal(size=weight.shape) for weight in fusion.gates.get_weights()])
    return fusion


def projected(fusion, inputs):
    """x_m for each modality `[8, dim]`, zero where absent."""
    vectors = []
    for place, name in enumerate(MODALITIES):
        x = np.where(PATTERNS[:, place, None], inputs[name]["vector"], 0.0)
        if name in fusion.projections.kernels:
            if fusion.scale is not None:
                x = x * fusion.scale / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6)
            x = x @ fusion.projections.kernels[name].kernel.numpy()
        vectors.append(x)
    return vectors


def written_out(fusion, inputs):
    """e = Σ_m g_m ⊙ x_m, g_m = σ(W_m [x_1; …; x_M] + c_m), gate by gate."""
    vectors = projected(fusion, inputs)
    whole, (kernel, bias) = np.concatenate(vectors, axis=1), fusion.gates.get_weights()
    result = np.zeros((len(PATTERNS), DIM))
    for place, x in enumerate(vectors):
        own = slice(place * DIM, (place + 1) * DIM)
        result += x / (1 + np.exp(-(whole @ kernel[:, own] + bias[own])))
    return result


@pytest.mark.parametrize("scale", [None, 0.1])
def test_against_the_formula(scale):
    fusion, inputs = made(scale=scale), embedded(absent=np.nan)
    np.testing.assert_allclose(fusion(inputs), written_out(fusion, inputs), rtol=1e-4, atol=1e-5)


def test_nothing_gives_zeros():
    np.testing.assert_array_equal(made()(embedded(absent=np.inf))[0], np.zeros(DIM))


def test_a_gate_opens_and_closes_entry_by_entry():
    fusion, inputs = made(), embedded()
    kernel, bias = np.zeros((3 * DIM, 3 * DIM)), np.full((3, DIM), -50.0)
    bias[2, 1] = 50.0  # of all entries of all modalities, the second of the words
    fusion.gates.set_weights([kernel, bias.reshape(-1)])
    expected = projected(fusion, inputs)[2] * [0, 1, 0, 0]
    np.testing.assert_allclose(fusion(inputs), expected, atol=1e-6)


def test_one_modality_can_close_the_gate_of_another():
    fusion, inputs = made(), embedded()
    kernel = np.zeros((3 * DIM, 3 * DIM))
    kernel[2 * DIM, :DIM] = -1e4 * np.sign(inputs["words"]["vector"][-1, 0])  # the words' first entry: gates of look
    fusion.gates.set_weights([kernel, np.zeros(3 * DIM)])
    look, price, words = (vectors[-1] for vectors in projected(fusion, inputs))  # all are there
    np.testing.assert_allclose(fusion(inputs)[-1], 0.0 * look + 0.5 * price + 0.5 * words, rtol=1e-5, atol=1e-6)


def test_gates_start_half_open():
    fusion, inputs = GatedFusion(DIM, scale=0.1), embedded()
    found = fusion(inputs).numpy()
    np.testing.assert_allclose(found, 0.5 * sum(projected(fusion, inputs)), atol=0.1 * np.abs(found).max())


def test_absent_modalities_move_no_weight():
    fusion = made(scale=0.1)
    first = {name: {key: tensor[:2] for key, tensor in part.items()} for name, part in embedded(absent=np.nan).items()}
    with tf.GradientTape() as tape:  # row 1 has the first modality alone
        loss = tf.reduce_sum(fusion(first) ** 2)
    kernels = [fusion.projections.kernels["look"].kernel, fusion.projections.kernels["price"].kernel]
    look, price, gates, biases = tape.gradient(loss, [*kernels, fusion.gates.kernel, fusion.gates.bias])
    assert np.abs(look).max() > 1e-4 and np.abs(gates[:DIM, :DIM]).max() > 1e-6
    for gradient in (price, gates[DIM:], gates[:, DIM:], biases[DIM:]):
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))


def test_dropout_acts_on_what_the_gates_read_in_training_only():
    fusion, inputs = made(dropout=0.5), embedded()
    plain = fusion(inputs, training=False).numpy()
    np.testing.assert_allclose(plain, written_out(fusion, inputs), rtol=1e-4, atol=1e-5)
    one, other = fusion(inputs, training=True).numpy(), fusion(inputs, training=True).numpy()
    assert (one != other).any()
    kernel, bias = fusion.gates.get_weights()
    fusion.gates.set_weights([np.zeros_like(kernel), bias])  # gates that read nothing: what they let through is whole
    np.testing.assert_array_equal(fusion(inputs, training=True), fusion(inputs, training=False))


def test_arguments_out_of_range_are_refused():
    with pytest.raises(UsageError, match="dim must be at least 1, got 0"):
        GatedFusion(0)
    with pytest.raises(UsageError, match=r"dropout must lie in \[0, 1\), got 1.0"):
        GatedFusion(4, dropout=1.0)
    with pytest.raises(UsageError, match="result's size 5, but words has 4"):
        GatedFusion(5, direct=["words"])(embedded())
