"""A tower's alignments: where they stand, and that their losses count once, on one replica or on several."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import MODALITIES, embedded
from tfmmrec.alignment import AdversarialAlignment, ContrastiveAlignment, ModalityConversion, SubspaceAlignment
from tfmmrec.encoders import IdentifierEncoder, PrecomputedEncoder
from tfmmrec.fusion import EarlyFusion
from tfmmrec.towers import Tower

IDS = [f"c{i}" for i in range(8)]
EVERY = (
    lambda: SubspaceAlignment(3, name="subspace"),
    lambda: ContrastiveAlignment(3, name="contrastive"),
    lambda: AdversarialAlignment(3, name="adversarial"),
    lambda: ModalityConversion(name="conversion"),
)


def in_turns():
    return AdversarialAlignment(3, updates="alternating", name="adversarial_alternating")


def make(*alignments):
    tf.keras.utils.set_random_seed(0)
    encoders = {name: PrecomputedEncoder(dim, name=name) for name, dim in MODALITIES.items()}
    encoders["id"] = IdentifierEncoder(IDS, 4, name="id")
    tower = Tower(encoders, EarlyFusion(5), alignments=alignments, name="tower")
    tower.build_from_raw()
    return tower


def inputs():
    """Embedded content and ids that are to be embedded."""
    return embedded() | {"id": {"row": tf.range(8)}}


def take(values, rows):
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), values)


def test_they_stand_between_encoders_and_fusion_in_the_order_given():
    conversion, subspace = ModalityConversion(), SubspaceAlignment(3)
    tower = make(conversion, subspace)
    between = subspace(conversion(tower.encode(inputs())))
    np.testing.assert_allclose(tower(inputs()), tower.fusion(between), rtol=1e-6)
    assert "imputed" in between["look"] and between["look"]["vector"].shape == [8, 3]
    np.testing.assert_array_equal(tower.encode(inputs())["look"]["present"], embedded()["look"]["present"])


def test_losses_are_added_in_training_alone_and_those_of_the_last_call_count():
    tower = make(*(make_one() for make_one in EVERY))
    tower(inputs())
    assert tower.losses == []
    tower(inputs(), training=True)
    once = [loss.numpy() for loss in tower.losses]
    assert len(once) == 4 and min(once) > 0.0
    tower(take(inputs(), [7, 6, 5]), training=True)
    tower(inputs(), training=True)
    np.testing.assert_array_equal([loss.numpy() for loss in tower.losses], once)


def test_config_holds_them():
    tower = make(*(make_one() for make_one in EVERY))
    again = Tower.from_config(json.loads(json.dumps(tower.get_config())))
    assert [type(layer) for layer in again.alignments] == [type(layer) for layer in tower.alignments]
    again.build_from_raw()
    again.set_weights(tower.get_weights())
    np.testing.assert_allclose(again(inputs()), tower(inputs()), rtol=1e-5, atol=1e-6)


def test_a_repeated_row_counts_once_and_padding_never():
    tower, rows = make(*(make_one() for make_one in EVERY)), [3, 5, 6, 7]
    tower(take(inputs(), rows), training=True)
    expected = [loss.numpy() for loss in tower.losses]
    padded = take(inputs(), [3, 5, 3, 6, 0, 7, 5, 0])
    vectors = tower(padded, training=True, rows=tf.constant([3, 5, 3, 6, -1, 7, 5, -1]))
    np.testing.assert_allclose([loss.numpy() for loss in tower.losses], expected, rtol=1e-5)
    np.testing.assert_allclose(vectors, tower(padded), rtol=1e-5, atol=1e-6)
    tower(padded, training=True)
    assert not np.allclose([loss.numpy() for loss in tower.losses], expected, rtol=1e-3)


def test_a_call_in_which_they_do_not_learn_has_the_values_and_leaves_all_as_it_is():
    tower = make(*(make_one() for make_one in EVERY[:2]), in_turns())
    fixed, expected = tower.get_weights(), tower(inputs())
    found = tower(inputs(), training=True, rows=tf.range(8), alignments_learn=False)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert tower.losses == []
    for one, other in zip(tower.get_weights(), fixed, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("make_one", [*EVERY, in_turns])
def test_replicas_have_the_losses_gradients_and_vectors_of_one(make_one, replicas):
    """Two replicas whose rows overlap: their gradients, halved and summed, are those of all rows at once."""
    shares = [3, 5, 6, -1], [7, 5, 1, 6]
    union = [3, 5, 6, 7, 1]

    def loss_and_gradients(tower, rows):
        rows = tf.convert_to_tensor(rows)
        values = take(inputs(), tf.maximum(rows, 0))
        with tf.GradientTape() as tape:
            vectors = tower(values, training=True, rows=rows)
            loss = tf.add_n(tower.losses)
        gradients = tape.gradient(loss, tower.trainable_variables, unconnected_gradients="zero")
        return loss, [tf.convert_to_tensor(gradient) for gradient in gradients], vectors

    alone = make(make_one())
    expected, expected_gradients, _ = loss_and_gradients(alone, union)
    strategy = replicas(2)
    with strategy.scope():
        tower = make(make_one())
    table = tf.constant(shares)

    @tf.function
    def step():
        def of_one():
            rows = table[tf.distribute.get_replica_context().replica_id_in_sync_group]
            return loss_and_gradients(tower, rows)

        return strategy.run(of_one)

    loss, gradients, vectors = step()
    for found in strategy.experimental_local_results(loss):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        total = sum(strategy.experimental_local_results(found)) / 2.0
        np.testing.assert_allclose(total, wanted, rtol=1e-4, atol=1e-6)
    for rows, found in zip(shares, strategy.experimental_local_results(vectors), strict=True):
        np.testing.assert_allclose(found, tower(take(inputs(), np.maximum(rows, 0))), rtol=1e-5, atol=1e-6)
    if make_one is in_turns:  # its discriminator has moved
        for found, wanted in zip(tower.non_trainable_variables, alone.non_trainable_variables, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
