"""Gradients reach every weight that is to be trained; `test_finetuned.py` sees what a fit makes of them."""

import pytest
import tensorflow as tf

from tests.conformance.encoders import ENCODERS
from tests.conformance.parts import FUSIONS, by_name


def gradients(part, call):
    with tf.GradientTape() as tape:
        vector = tf.cast(call(), tf.float32)
        # no sum: a loss of unit blocks must not be constant
        loss = tf.reduce_sum(vector * tf.random.stateless_normal(tf.shape(vector), [1, 2]))
    variables = part.trainable_variables
    return {
        variable.ref(): tf.convert_to_tensor(g) if g is not None else None
        for variable, g in zip(variables, tape.gradient(loss, variables), strict=True)
    }


def check(part, call):
    call()  # creates the weights
    found = gradients(part, call)
    for ref, gradient in found.items():
        name = ref.deref().name
        assert gradient is not None, f"no gradient reaches {name}"
        assert bool(tf.reduce_any(gradient != 0.0)), f"the gradient of {name} is zero"
        assert bool(tf.reduce_all(tf.math.is_finite(gradient))), f"the gradient of {name} is not finite"


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_gradients_reach_every_weight_of_an_encoder(part, folder):
    encoder = part.make(folder)
    inputs = part.inputs(encoder, part.rows)
    check(encoder, lambda: encoder(inputs, training=False)["vector"])


@pytest.mark.parametrize("part", FUSIONS, ids=by_name)
def test_gradients_reach_every_weight_of_a_fusion(part):
    fusion, inputs = part.make(), part.inputs()
    check(fusion, lambda: fusion(inputs, training=False))


@pytest.mark.parametrize("part", [part for part in ENCODERS if part.frozen], ids=by_name)
def test_frozen_weights_are_no_trainable_ones(part, folder):
    encoder = part.make(folder)
    encoder(part.inputs(encoder, part.rows))  # creates the weights
    fixed = [variable for variable in encoder.non_trainable_variables if variable.dtype.is_floating]
    assert fixed, f"{part.name} has no frozen weight; say frozen=False in the list"
    assert not {variable.ref() for variable in fixed} & {variable.ref() for variable in encoder.trainable_variables}
