import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import MODALITIES, PATTERNS, embedded
from tfmmrec.fusion import AttentionFusion
from tfmmrec.types import UsageError

DIM, HIDDEN = 4, 6


def made(**options):
    """A fusion whose scores and biases are far from their start."""
    fusion = AttentionFusion(DIM, HIDDEN, direct=["words"], **options)
    fusion(embedded())
    random = np.random.default_rng(2)
    fusion.score.assign(random.normal(size=HIDDEN))
    fusion.biases.assign(random.normal(size=(len(MODALITIES), HIDDEN)))
    return fusion


def written_out(fusion, inputs):
    """Weights and e = Σ_m α_m x_m for each row, modality by modality, over those that are there."""
    kernels = {name: layer.kernel.numpy() for name, layer in fusion.projections.kernels.items()}
    hidden, score, biases = fusion.hidden.kernel.numpy(), fusion.score.numpy(), fusion.biases.numpy()
    weights, results = np.zeros(PATTERNS.shape), np.zeros((len(PATTERNS), DIM))
    for row, pattern in enumerate(PATTERNS):
        vectors, exponentials = {}, {}
        for place, name in enumerate(MODALITIES):
            if pattern[place]:
                x = inputs[name]["vector"].numpy()[row]
                if name in kernels:
                    length = 1.0 if fusion.scale is None else np.linalg.norm(x) / fusion.scale
                    x = x / length @ kernels[name]
                vectors[place] = x
                exponentials[place] = np.exp(score @ np.tanh(x @ hidden + biases[place]))
        for place, x in vectors.items():
            weights[row, place] = exponentials[place] / sum(exponentials.values())
            results[row] += weights[row, place] * x
    return weights, results


@pytest.mark.parametrize("scale", [None, 0.1])
def test_against_the_formula(scale):
    fusion, inputs = made(scale=scale), embedded(absent=np.nan)
    weights, results = written_out(fusion, inputs)
    assert weights[-1].max() > 1.5 * weights[-1].min()  # else uniform weights would do
    np.testing.assert_allclose(fusion.weights_of(inputs), weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fusion(inputs), results, rtol=1e-4, atol=1e-5)


def test_weights_are_zero_where_absent_and_sum_to_one():
    weights = made().weights_of(embedded(absent=np.inf)).numpy()
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights > 0, PATTERNS)
    np.testing.assert_allclose(weights.sum(axis=1), PATTERNS.any(axis=1), rtol=1e-6)


def test_what_is_alone_is_taken_whole():
    alone = list(map(tuple, PATTERNS)).index((False, False, True))
    inputs = embedded()
    np.testing.assert_allclose(made()(inputs)[alone], inputs["words"]["vector"][alone], rtol=1e-6)


@pytest.mark.parametrize("length", [1e-3, 1.0, 1e3])
def test_the_weights_start_near_uniform_whatever_the_lengths(length):
    parts = {name: part | {"vector": length * part["vector"]} for name, part in embedded().items()}
    fusion = AttentionFusion(DIM, hidden_dim=64)
    uniform = PATTERNS / np.maximum(PATTERNS.sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(fusion.weights_of(parts), uniform, atol=0.1)


def test_weights_can_be_read_before_the_first_call_and_under_half_precision():
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        fusion = AttentionFusion(DIM, HIDDEN)
        weights = fusion.weights_of(embedded())
        assert fusion(embedded()).dtype == tf.float16
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert weights.dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_sum(weights, axis=1), PATTERNS.any(axis=1), rtol=1e-6)


def test_absent_modalities_move_no_weight():
    fusion = made(scale=0.1)
    with tf.GradientTape() as tape:  # row 1 has the first modality alone: its weight is 1 whatever the score is
        loss = tf.reduce_sum(fusion({name: rows(part, 0, 2) for name, part in embedded(absent=np.nan).items()}) ** 2)
    look, price = (fusion.projections.kernels[name].kernel for name in ("look", "price"))
    gradients = tape.gradient(loss, [look, price, fusion.hidden.kernel, fusion.score, fusion.biases])
    assert np.abs(gradients[0]).max() > 1e-4
    for gradient in gradients[1:]:
        np.testing.assert_allclose(gradient, np.zeros(gradient.shape), atol=1e-9)


def rows(part, start, stop):
    return {key: tensor[start:stop] for key, tensor in part.items()}


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def catalogue(num_candidates=256, dim=16):
    """An id, a picture and a text for each candidate; whether a text is to be believed shows in its own direction."""
    random = np.random.default_rng(0)
    draw = lambda: unit(random.normal(size=(num_candidates, dim)))  # noqa: E731
    believed = random.random(num_candidates) < 0.5
    mark = np.where(believed, 1.0, -1.0)[:, None] * np.eye(dim)[0]
    vectors = {"id": draw(), "photo": draw(), "text": unit(draw() + mark)}
    there = tf.ones([num_candidates], bool)
    return {name: {"vector": tf.constant(vector), "present": there} for name, vector in vectors.items()}, believed


def trained(targets, inputs, steps=150):
    tf.keras.utils.set_random_seed(0)
    fusion = AttentionFusion(targets.shape[1], direct=["id"], scale=0.1)
    optimizer = tf.keras.optimizers.legacy.Adam(0.01)
    fusion(inputs)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.reduce_sum((fusion(inputs, training=True) - targets) ** 2, axis=1))
        variables = fusion.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    for _ in range(steps):
        step()
    return fusion.weights_of(inputs).numpy()


def test_it_learns_from_short_content_which_candidates_a_modality_matters_for():
    inputs, believed = catalogue()
    targets = np.where(believed[:, None], 0.3 * inputs["text"]["vector"], inputs["id"]["vector"])
    weights = trained(targets, inputs)  # texts enter with a tenth of an id's length
    assert weights[believed, 2].mean() > 0.9 and weights[~believed, 0].mean() > 0.9


def test_it_learns_what_a_modality_counts_for_in_general():
    inputs, _ = catalogue()
    # nothing in a picture's direction tells pictures from texts: the bias of each does
    weights = trained(0.3 * inputs["photo"]["vector"].numpy(), inputs)
    assert weights[:, 1].min() > 0.8


def test_dropout_acts_in_training_only():
    fusion, inputs = made(dropout=0.5), embedded()
    plain = fusion(inputs, training=False).numpy()
    one, other = fusion(inputs, training=True).numpy(), fusion(inputs, training=True).numpy()
    assert (one != other).any() and (one != plain).any()
    np.testing.assert_array_equal(fusion(inputs, training=False), plain)
    np.testing.assert_allclose(fusion.weights_of(inputs), written_out(fusion, inputs)[0], rtol=1e-4, atol=1e-6)


def test_arguments_out_of_range_are_refused():
    with pytest.raises(UsageError, match="dim must be at least 1, got 0"):
        AttentionFusion(0)
    with pytest.raises(UsageError, match="hidden_dim must be at least 1, or None for dim=4, got 0"):
        AttentionFusion(4, hidden_dim=0)
    with pytest.raises(UsageError, match=r"dropout must lie in \[0, 1\), got 1.0"):
        AttentionFusion(4, dropout=1.0)
    with pytest.raises(UsageError, match="result's size 5, but words has 4"):
        AttentionFusion(5, direct=["words"])(embedded())
