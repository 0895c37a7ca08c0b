import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.alignments import loss_of
from tests.conformance.parts import PATTERNS, embedded
from tfmmrec.alignment import AdversarialAlignment
from tfmmrec.alignment.adversarial import reverse_gradient
from tfmmrec.types import UsageError


def numpy_logits(layer, parts):
    logits = []
    for part, kernel in zip(parts.values(), layer.kernels, strict=True):
        x = part["vector"].numpy() @ kernel.numpy()
        for dense in layer.discriminator[:-1]:
            x = np.maximum(x @ dense.kernel.numpy() + dense.bias.numpy(), 0.0)
        output = layer.discriminator[-1]
        logits.append(x @ output.kernel.numpy() + output.bias.numpy())
    return logits  # of each modality [batch, num_modalities]


def test_the_formula_and_the_accuracy():
    layer, parts = AdversarialAlignment(3, hidden_dims=(7, 5), weight=0.5), embedded()
    found = loss_of(layer, parts)
    losses, right = [], []
    for place, logits in enumerate(numpy_logits(layer, parts)):
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        losses += (-np.log(shares[:, place]))[PATTERNS[:, place]].tolist()
        right += (logits.argmax(axis=1) == place)[PATTERNS[:, place]].tolist()
    assert len(losses) == 12
    np.testing.assert_allclose(found, 0.5 * np.mean(losses), rtol=1e-5)
    np.testing.assert_allclose(layer.accuracy(parts), np.mean(right), rtol=1e-6)
    first = tf.constant(np.arange(8) == 7)  # the row that has all three
    np.testing.assert_allclose(layer.accuracy(parts, first), np.mean([right[3], right[7], right[11]]), rtol=1e-6)
    assert layer.accuracy(parts, tf.fill([8], False)) == 0.0


def test_reversal_turns_the_gradients_of_projections_and_encoders_and_not_the_discriminators():
    parts, found = embedded(), []
    inputs = [part["vector"] for part in parts.values()]
    for reverse in (True, False):
        tf.keras.utils.set_random_seed(0)
        layer = AdversarialAlignment(3, strength=0.4, reverse=reverse)
        layer(parts)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = loss_of(layer, parts)
        own = [weight for dense in layer.discriminator for weight in dense.trainable_weights]
        found.append((loss, tape.gradient(loss, [own, layer.kernels, inputs])))
    (loss, reversed_ones), (plain_loss, plain) = found
    assert loss == plain_loss
    for one, other in zip(reversed_ones[0], plain[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    for one, other in zip(reversed_ones[1] + reversed_ones[2], plain[1] + plain[2], strict=True):
        assert np.abs(other).max() > 1e-4
        np.testing.assert_allclose(one, -0.4 * other, rtol=1e-5, atol=1e-8)


def test_reversal_leaves_values():
    values = tf.constant([1.0, -2.0, 0.1])
    with tf.GradientTape() as tape:
        tape.watch(values)
        found = reverse_gradient(values, 0.3)
        total = tf.reduce_sum(found * [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(found, values)
    np.testing.assert_allclose(tape.gradient(total, values), [-0.3, -0.6, -0.9], rtol=1e-6)


def test_the_discriminator_takes_a_step_of_its_own_adam_before_the_others_get_their_gradients():
    parts = embedded()
    inputs = [part["vector"] for part in parts.values()]

    def gradients(layer, of):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = loss_of(layer, parts)
        return loss, tape.gradient(loss, of)

    layers = []
    for updates in ("at_once", "alternating"):
        tf.keras.utils.set_random_seed(0)
        layers.append(AdversarialAlignment(3, strength=0.4, weight=1.0, updates=updates, learning_rate=0.01))
        layers[-1](parts)
    at_once, alternating = layers
    own = [weight for dense in at_once.discriminator for weight in dense.weights]
    moved = [weight for dense in alternating.discriminator for weight in dense.weights]
    assert alternating.trainable_variables == alternating.kernels
    first, second = [np.zeros(weight.shape) for weight in own], [np.zeros(weight.shape) for weight in own]
    for step in (1, 2, 3):
        _, found = gradients(at_once, own)
        rate = 0.01 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)  # Kingma & Ba 2015, the end of section 2
        for place, (weight, gradient) in enumerate(zip(own, found, strict=True)):
            first[place] = 0.9 * first[place] + 0.1 * gradient.numpy()
            second[place] = 0.999 * second[place] + 0.001 * gradient.numpy() ** 2
            weight.assign_sub(rate * first[place] / (np.sqrt(second[place]) + 1e-7))
        expected_loss, expected = gradients(at_once, at_once.kernels + inputs)  # under the discriminator as it now is
        loss, found = gradients(alternating, alternating.kernels + inputs)
        np.testing.assert_allclose(loss, expected_loss, rtol=1e-4)
        for one, other in zip([*moved, *found], [*own, *expected], strict=True):
            assert np.abs(other).max() > 1e-5
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def trained_accuracy(steps=1500, **options):
    """Of modalities that differ in mean and spread, some of them missing, over the last steps of a training."""
    tf.keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    parts = {
        name: {
            "vector": tf.constant(center + spread * random.normal(size=(256, size)), tf.float32),
            "present": tf.constant(random.random(256) < 0.9),
        }
        for name, size, center, spread in (("a", 4, 1.0, 0.3), ("b", 6, -0.5, 1.0), ("c", 5, 0.2, 0.6))
    }
    layer = AdversarialAlignment(3, hidden_dims=(32,), weight=1.0, **options)
    layer(parts)
    # the discriminator learns faster than what it judges: it stands near its best answer all the time
    mine, theirs = tf.keras.optimizers.Adam(5e-3), tf.keras.optimizers.Adam(1e-3)
    discriminator = [weight for dense in layer.discriminator for weight in dense.trainable_weights]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(layer, parts)
        own, projections = tape.gradient(loss, [discriminator, layer.kernels])
        if discriminator:  # it does not move itself
            mine.apply_gradients(zip(own, discriminator, strict=True))
        theirs.apply_gradients(zip(projections, layer.kernels, strict=True))
        return layer.accuracy(parts)

    accuracies = [float(step()) for _ in range(steps)]
    return np.mean(accuracies[100:150]), np.mean(accuracies[-300:])


def test_accuracy_falls_towards_chance_with_reversal_and_stays_high_without():
    early, late = trained_accuracy(reverse=True)
    _, control = trained_accuracy(reverse=False)
    assert control > 0.95
    assert late < min(0.5, early - 0.1)  # chance is about 1 / 3


def test_accuracy_falls_towards_chance_in_turns_and_stays_high_where_the_encoders_do_not_play():
    options = {"updates": "alternating", "learning_rate": 5e-3}
    early, late = trained_accuracy(**options)
    control_early, control = trained_accuracy(strength=0.0, **options)
    assert control > control_early > 0.6  # of projections that stay as they are it only learns more
    assert late < min(0.5, early - 0.1)  # chance is about 1 / 3


def test_arguments_out_of_range():
    with pytest.raises(UsageError, match="strength must be at least 0, got -1"):
        AdversarialAlignment(3, -1)
    with pytest.raises(UsageError, match=r"hidden_dims must be at least 1, got \(0,\)"):
        AdversarialAlignment(3, hidden_dims=[0])
    with pytest.raises(UsageError, match="learning_rate must be positive, got 0"):
        AdversarialAlignment(3, learning_rate=0)
    with pytest.raises(UsageError, match="updates must be at_once or alternating, got 'often'"):
        AdversarialAlignment(3, updates="often")
    with pytest.raises(UsageError, match="reverse=False makes none"):
        AdversarialAlignment(3, reverse=False, updates="alternating")
