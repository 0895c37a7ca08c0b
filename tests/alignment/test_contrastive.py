from itertools import combinations

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.alignments import loss_of
from tests.conformance.parts import PATTERNS, embedded
from tfmmrec.alignment import ContrastiveAlignment
from tfmmrec.alignment.contrastive import symmetric_info_nce
from tfmmrec.types import UsageError

TEMPERATURE = 0.4


def expected_loss(layer, parts, rows=range(8)):
    unit = []
    for part, kernel in zip(parts.values(), layer.kernels, strict=True):
        points = part["vector"].numpy() @ kernel.numpy()
        unit.append(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9))
    losses = []
    for m, g in combinations(range(3), 2):
        both = [row for row in rows if PATTERNS[row, m] and PATTERNS[row, g]]
        terms = []
        for row in both:
            across = [np.exp(unit[m][row] @ unit[g][other] / TEMPERATURE) for other in both]
            back = [np.exp(unit[m][other] @ unit[g][row] / TEMPERATURE) for other in both]
            own = np.exp(unit[m][row] @ unit[g][row] / TEMPERATURE)
            terms.append(-0.5 * (np.log(own / sum(across)) + np.log(own / sum(back))))
        losses.append(np.mean(terms))
    return np.mean(losses)


def test_the_formula():
    layer, parts = ContrastiveAlignment(3, TEMPERATURE, weight=1.0), embedded()
    found = loss_of(layer, parts)
    expected = expected_loss(layer, parts)
    assert expected > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_pair_that_one_row_has_adds_nothing():
    logits = tf.random.stateless_normal([3, 3], [0, 0])
    assert symmetric_info_nce(logits, tf.constant([False, True, False])) == 0.0
    assert symmetric_info_nce(logits, tf.constant([False, False, False])) == 0.0
    assert symmetric_info_nce(logits, tf.constant([True, True, False])) > 0.0


def test_of_many_rows_a_part_is_drawn_that_differs_from_step_to_step_and_has_pairs():
    parts = embedded()
    layer = ContrastiveAlignment(3, TEMPERATURE, max_rows=4, weight=1.0, seed=1)
    losses = [float(loss_of(layer, parts)) for _ in range(3)]
    # rows 3, 5, 6 and 7 have two modalities or more: they are the ones that are drawn
    np.testing.assert_allclose(losses, [expected_loss(layer, parts, [3, 5, 6, 7])] * 3, rtol=1e-5)
    layer = ContrastiveAlignment(3, TEMPERATURE, max_rows=3, weight=1.0, seed=1)
    losses = [float(loss_of(layer, parts)) for _ in range(8)]
    assert 1 < len(set(np.round(losses, 3))) <= 4
    assert layer.draws.count == 8


def test_the_part_is_the_same_on_every_replica(replicas):
    strategy = replicas(2)
    with strategy.scope():
        layer = ContrastiveAlignment(3, max_rows=3, seed=1)
        layer(embedded())

    @tf.function
    def step():
        return strategy.run(lambda: loss_of(layer, embedded()))

    for _ in range(3):
        one, other = strategy.experimental_local_results(step())
        assert one == other and one > 0.0


def test_training_lets_modalities_find_each_other():
    tf.keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    thing = random.normal(size=(64, 4))
    views = {
        name: {
            "vector": tf.constant(thing @ random.normal(size=(4, size)), tf.float32),
            "present": tf.fill([64], True),
        }
        for name, size in {"a": 6, "b": 8}.items()
    }
    layer, optimizer = ContrastiveAlignment(4, weight=1.0), tf.keras.optimizers.Adam(0.02)
    layer(views)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(layer, views)
        optimizer.apply_gradients(zip(tape.gradient(loss, layer.kernels), layer.kernels, strict=True))

    def found():
        points = layer.project(views).numpy()
        points /= np.linalg.norm(points, axis=2, keepdims=True)
        return np.mean(np.argmax(points[:, 0] @ points[:, 1].T, axis=1) == np.arange(64))

    before = found()
    for _ in range(200):
        step()
    assert before < 0.3 and found() > 0.9


def test_arguments_out_of_range():
    with pytest.raises(UsageError, match="temperature must be positive, got 0"):
        ContrastiveAlignment(3, 0)
    with pytest.raises(UsageError, match="max_rows of at least 2, got 1"):
        ContrastiveAlignment(3, max_rows=1)
