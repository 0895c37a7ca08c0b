import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.alignments import loss_of
from tests.conformance.parts import MODALITIES, PATTERNS, embedded
from tfmmrec.alignment import ModalityConversion
from tfmmrec.fusion import EarlyFusion
from tfmmrec.types import UsageError


def numpy_prediction(layer, parts, place):
    others = [m for m in range(3) if m != place]
    masked = [np.where(PATTERNS[:, m, None], list(parts.values())[m]["vector"], 0.0) for m in others]
    x = np.concatenate([*masked, PATTERNS[:, others]], axis=1)
    *hidden, output = layer.converters[place]
    for dense in hidden:
        x = np.maximum(x @ dense.kernel.numpy() + dense.bias.numpy(), 0.0)
    return x @ output.kernel.numpy() + output.bias.numpy()


@pytest.mark.parametrize("hidden_dims", [(), (6, 5)])
def test_the_formula_and_where_it_is_used(hidden_dims):
    layer, parts = ModalityConversion(hidden_dims, weight=0.5), embedded(absent=9.0)
    found = layer(parts)
    expected = 0.0
    for place, name in enumerate(MODALITIES):
        present, others = PATTERNS[:, place], np.delete(PATTERNS, place, axis=1).any(axis=1)
        vectors, prediction = parts[name]["vector"].numpy(), numpy_prediction(layer, parts, place)
        errors = np.sum((prediction - vectors) ** 2, axis=1)[present & others]
        assert len(errors) == 3
        expected += 0.5 * np.mean(errors)
        imputed = ~present & others
        np.testing.assert_array_equal(found[name]["imputed"], imputed)
        np.testing.assert_array_equal(found[name]["present"], present | imputed)
        np.testing.assert_array_equal(found[name]["vector"].numpy()[present], vectors[present])
        np.testing.assert_allclose(found[name]["vector"].numpy()[imputed], prediction[imputed], rtol=1e-5, atol=1e-6)
        nothing = ~present & ~others
        assert nothing.sum() == 1 and not found[name]["vector"].numpy()[nothing].any()
    np.testing.assert_allclose(loss_of(layer, parts), expected, rtol=1e-5)


def test_targets_have_no_gradient():
    layer = ModalityConversion(weight=1.0)
    parts = {name: part for name, part in embedded(patterns=np.ones((8, 3), bool)).items() if name != "words"}
    vectors = [parts["look"]["vector"], parts["price"]["vector"]]
    layer(parts)
    errors = [layer.predict(vectors, tf.fill([8, 2], True))[place] - vectors[place] for place in range(2)]
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        loss = loss_of(layer, parts)
    for place, gradient in enumerate(tape.gradient(loss, vectors)):
        other = 1 - place  # a vector is felt by what is predicted from it alone
        kernel = layer.converters[other][0].kernel.numpy()[:-1]  # the last row is for the presence
        np.testing.assert_allclose(gradient, 2.0 * errors[other] @ kernel.T / 8, rtol=1e-4, atol=1e-5)


def test_a_second_one_finds_nothing_missing_and_does_not_learn_from_what_was_imputed():
    first, second, parts = ModalityConversion(), ModalityConversion(weight=1.0), embedded()
    once = first(parts)
    twice = second(once)
    for name in MODALITIES:
        np.testing.assert_array_equal(twice[name]["vector"], once[name]["vector"])
        np.testing.assert_array_equal(twice[name]["imputed"], once[name]["imputed"])
    one_alone = tf.constant(PATTERNS.sum(axis=1) == 1)
    # of a row with one modality, only that one is a target, and it is predicted from what was imputed of it
    alone = second.given(once, one_alone).numpy()
    np.testing.assert_array_equal(alone, PATTERNS & (PATTERNS.sum(axis=1) == 1)[:, None])


def test_sequences_and_what_takes_no_part_stay():
    parts = embedded() | {"id": embedded()["price"]}
    parts["look"] |= {"sequence": tf.ones([8, 2, 3]), "sequence_mask": tf.fill([8, 2], True)}
    found = ModalityConversion()(parts)
    assert found["look"]["sequence"] is parts["look"]["sequence"]
    assert found["id"].keys() == {"vector", "present"} and found["id"]["vector"] is parts["id"]["vector"]


def test_training_predicts_a_modality_that_follows_from_the_others():
    tf.keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    thing = random.normal(size=(300, 3))
    truth = {name: thing @ random.normal(size=(3, size)) for name, size in {"a": 4, "b": 5, "c": 3}.items()}
    present = {name: random.random(300) < 0.7 for name in truth}
    parts = {
        name: {
            "vector": tf.constant(np.where(present[name][:, None], vector, np.nan), tf.float32),
            "present": tf.constant(present[name]),
        }
        for name, vector in truth.items()
    }
    layer, optimizer = ModalityConversion((32,), weight=1.0), tf.keras.optimizers.Adam(0.01)
    layer(parts)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(layer, parts)
        gradients = tape.gradient(loss, layer.trainable_variables)
        optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))

    for _ in range(300):
        step()
    found = layer(parts)
    for name, vector in truth.items():
        missing = found[name]["imputed"].numpy()
        assert missing.sum() > 50
        error = np.mean((found[name]["vector"].numpy()[missing] - vector[missing]) ** 2)
        assert error < 0.25 * vector[missing].var()
    assert np.isfinite(EarlyFusion(2)(found)).all()


def test_arguments_out_of_range():
    with pytest.raises(UsageError, match=r"hidden_dims must be at least 1, got \(4, 0\)"):
        ModalityConversion([4, 0])
