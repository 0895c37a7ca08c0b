"""What holds for every alignment: its loss and its values, masked by presence, in any batch and precision."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

import tfmmrec.alignment
from tests.conformance.alignments import ALIGNMENTS, loss_of
from tests.conformance.parts import MODALITIES, PATTERNS, arrays, by_name, embedded
from tfmmrec.types import UsageError

EVERY = pytest.mark.parametrize("part", ALIGNMENTS, ids=by_name)
PRESENT = np.ones((8, 3), bool)


def close(one, other, **tolerance):
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), arrays(one), arrays(other))


def rows_of(inputs, rows):
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), inputs)


def with_id(inputs, seed=2):
    vector = tf.random.stateless_normal([len(PATTERNS), 4], [seed, 2])
    return inputs | {"id": {"vector": vector, "present": tf.ones([len(PATTERNS)], tf.bool)}}


def test_every_alignment_is_listed():
    assert {type(part.make()).__name__ for part in ALIGNMENTS} == set(tfmmrec.alignment.__all__)
    assert len({part.name for part in ALIGNMENTS}) == len(ALIGNMENTS)


@EVERY
def test_from_its_config(part):
    alignment, inputs = part.make(), embedded()
    alignment(inputs, training=False)
    again = tf.keras.layers.deserialize(json.loads(json.dumps(tf.keras.layers.serialize(alignment))))
    assert type(again) is type(alignment) and again.get_config() == alignment.get_config()
    code = type(alignment).__init__.__code__
    assert set(code.co_varnames[1 : code.co_argcount]) <= set(alignment.get_config())
    again(inputs, training=False)  # creates the weights
    again.set_weights(alignment.get_weights())
    np.testing.assert_array_equal(loss_of(again), loss_of(alignment))
    close(again(inputs), alignment(inputs))


@EVERY
def test_only_training_adds_a_loss(part):
    alignment = part.make()
    alignment(embedded(), training=False)
    assert alignment.losses == []
    assert np.isfinite(loss_of(alignment)) and loss_of(alignment) > 0.0
    alignment(embedded())
    assert alignment.losses == []


@EVERY
def test_values_change_where_the_list_says_so_and_in_training_as_outside(part):
    alignment, inputs = part.make(), with_id(embedded())
    found = alignment(inputs, training=False)
    close(alignment(inputs, training=True), found, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["id"]["vector"], inputs["id"]["vector"])
    changed = any(
        found[name]["vector"].shape != inputs[name]["vector"].shape
        or bool(tf.reduce_any(found[name]["vector"] != inputs[name]["vector"]))
        for name in MODALITIES
    )
    assert changed == part.changes


@EVERY
def test_the_id_takes_no_part(part):
    alignment = part.make()
    alignment(with_id(embedded()))
    alone = part.make()
    alone(embedded())
    assert [weight.shape for weight in alignment.weights] == [weight.shape for weight in alone.weights]
    fixed = arrays(alignment.weights)
    losses = []
    for seed in (2, 3):
        alignment.set_weights(fixed)  # what is drawn is drawn again
        losses.append(loss_of(alignment, with_id(embedded(), seed)).numpy())
    assert losses[0] == losses[1]


@EVERY
def test_gradients_reach_every_weight(part):
    alignment = part.make()
    alignment(embedded())
    with tf.GradientTape() as tape:
        loss = loss_of(alignment)
    gradients = tape.gradient(loss, alignment.trainable_variables)
    for variable, gradient in zip(alignment.trainable_variables, gradients, strict=True):
        assert gradient is not None, f"no gradient reaches {variable.name}"
        assert np.isfinite(gradient).all() and np.any(gradient), variable.name


@EVERY
def test_what_stands_in_the_place_of_an_absent_modality_does_not_matter(part):
    alignment, values = part.make(), (0.0, 17.0, float("nan"), float("inf"))
    alignment(embedded())
    fixed, found = arrays(alignment.weights), []
    for value in values:
        alignment.set_weights(fixed)
        inputs = embedded(absent=value)
        vectors = [entry["vector"] for entry in inputs.values()]
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            loss = loss_of(alignment, inputs)
        gradients = tape.gradient(loss, [*alignment.trainable_variables, *vectors])
        assert all(np.isfinite(gradient).all() for gradient in gradients)
        for place, gradient in enumerate(gradients[-len(vectors) :]):
            assert not gradient.numpy()[~PATTERNS[:, place]].any()
        found.append([loss, *gradients])
    for other in found[1:]:
        close(other, found[0])
    if part.changes:
        results = [alignment(embedded(absent=value)) for value in values]
        for other in results[1:]:
            assert all(np.isfinite(entry["vector"]).all() for entry in other.values())
            close(other, results[0])


@EVERY
def test_rows_that_do_not_count_have_no_loss_and_the_values_of_those_that_do(part):
    alignment = part.make()
    inputs, rows = embedded(patterns=PRESENT), [0, 2, 3, 7]
    alignment(inputs)
    fixed = arrays(alignment.weights)
    counted = tf.constant(np.isin(np.arange(8), rows))
    expected = loss_of(alignment, rows_of(inputs, rows)).numpy()
    alignment.set_weights(fixed)
    np.testing.assert_allclose(loss_of(alignment, inputs, counted), expected, rtol=1e-5)
    close(alignment(inputs, counted=counted, training=True), alignment(inputs), rtol=1e-5, atol=1e-6)


@EVERY
def test_any_batch(part):
    alignment, inputs = part.make(), embedded()
    whole = arrays(alignment(inputs))
    for row in range(8):
        one = alignment(rows_of(inputs, [row]))
        close(one, tf.nest.map_structure(lambda array, row=row: tf.constant(array[[row]]), whole), rtol=1e-5, atol=1e-6)
        assert np.isfinite(loss_of(alignment, rows_of(inputs, [row])))
    signature = tf.nest.map_structure(lambda tensor: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype), inputs)

    @tf.function(input_signature=[signature])
    def step(inputs):
        return loss_of(alignment, inputs)

    assert np.isfinite(step(inputs)) and np.isfinite(step(rows_of(inputs, [0])))  # of row 0 nothing is present
    if "of some rows" not in part.name:
        fixed = arrays(alignment.weights)
        expected = loss_of(alignment, inputs)
        alignment.set_weights(fixed)
        np.testing.assert_allclose(step(inputs), expected, rtol=1e-5)
    assert (loss_of(alignment, rows_of(inputs, [7])).numpy() == 0.0) == (part.min_rows > 1)


@EVERY
def test_mixed_precision(part, policy):
    half = part.make()
    vectors = half(embedded(), training=True)
    fixed = [weight.numpy() for weight in half.weights]
    assert all(variable.dtype == tf.float32 for variable in half.trainable_variables)
    loss = loss_of(half)
    assert loss.dtype == tf.float32
    tf.keras.mixed_precision.set_global_policy("float32")
    full = part.make()
    full(embedded())
    full.set_weights(fixed)
    np.testing.assert_allclose(loss, loss_of(full), rtol=0.02 if policy.name == "mixed_float16" else 0.1)
    for name, found in full(embedded()).items():
        if part.changes:
            assert vectors[name]["vector"].dtype == policy.compute_dtype
        near = tf.cast(vectors[name]["vector"], tf.float32)
        np.testing.assert_allclose(near, found["vector"], atol=0.1 if policy.name == "mixed_bfloat16" else 0.02)


@EVERY
def test_from_a_checkpoint_and_in_a_saved_model(part, tmp_path):
    alignment, inputs = part.make(), embedded()
    alignment(inputs)
    for number, variable in enumerate(alignment.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 7]))
    expected = alignment(inputs)
    tf.train.Checkpoint(part=alignment).write(str(tmp_path / "checkpoint"))
    again = part.make()
    again(inputs)
    tf.train.Checkpoint(part=again).read(str(tmp_path / "checkpoint")).assert_consumed()
    close(again(inputs), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(loss_of(again), loss_of(alignment))
    module = tf.Module()
    module.part = alignment
    signature = tf.nest.map_structure(lambda tensor: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype), inputs)
    module.serve = tf.function(lambda inputs: alignment(inputs, training=False), input_signature=[signature])
    tf.saved_model.save(module, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    close(loaded.serve(inputs), expected, rtol=1e-5, atol=1e-6)


@EVERY
def test_the_order_in_which_modalities_are_given_does_not_matter(part):
    alignment = part.make()
    alignment(embedded())
    fixed, losses = arrays(alignment.weights), []
    for inputs in (embedded(), dict(reversed(embedded().items()))):
        alignment.set_weights(fixed)
        losses.append(loss_of(alignment, inputs).numpy())
    assert losses[0] == losses[1]


@EVERY
def test_fewer_than_two_modalities_are_refused(part):
    alignment = part.make()
    with pytest.raises(UsageError, match=r"needs at least two, got look \(it leaves out id\); add a feature"):
        alignment({"look": embedded()["look"], "id": embedded()["words"]})
