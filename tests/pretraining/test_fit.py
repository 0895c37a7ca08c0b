import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.pretraining import PretrainingOptions
from tfmmrec.pretraining.contents import Contents
from tfmmrec.pretraining.fit import fit
from tfmmrec.pretraining.objective import Objective
from tfmmrec.types import UsageError

NUM = 40


class Weights:
    """An encoder of one number."""

    def __init__(self):
        self.weight = tf.Variable(0.0, name="kernel")
        self.trainable, self.layers = [self.weight], [[self.weight]]


class Rising(Objective):
    """In training the weight has to rise; where it is measured it should be .02."""

    def __init__(self, scale=1.0, reads_encoder=True):
        super().__init__({"x": Weights()})
        self.head = [tf.Variable(0.0, name="head")]
        self.scale, self.reads_encoder, self.rows = scale, reads_encoder, []

    @property
    def weight(self):
        return self.encoders["x"].weight

    def loss(self, inputs, seed):
        tf.py_function(
            lambda rows, number: self.rows.append((rows.numpy(), int(number))), [inputs["x"]["row"], seed[1]], []
        )
        weight = self.weight if self.reads_encoder else self.head[0]
        rising = -weight * self.scale + 0.0 * self.head[0]
        return tf.where(seed[1] > 0, rising, tf.square(weight - 0.02)), tf.constant(0.5)

    def chance(self, batch_size):
        return float(batch_size)


def contents():
    return Contents({"x": {"row": np.arange(NUM)}}, NUM, 0, 0)


def options(**changed):
    plain = {"warmup_share": 0.0, "weight_decay": 0.0, "batch_size": 10, "validation_share": 0.25, "epochs": 12}
    return PretrainingOptions(**plain | {"patience": 2} | changed)


def test_the_best_epoch_s_weights_are_kept():
    goal, told = Rising(), []
    fitted = fit(goal, contents(), options(), {"x": 2e-3}, told=told.append)
    # Adam moves the weight by its rate a step, 3 steps an epoch; the rate falls as a half cosine over 36 steps
    rates = 2e-3 * 0.5 * (1 + np.cos(np.pi * np.arange(36) / 36))
    after = np.cumsum(rates)[2::3]
    losses = np.square(after - 0.02)
    best = int(losses.argmin()) + 1
    assert fitted.best.number == best and 1 < best < 9
    assert [epoch.number for epoch in fitted.epochs] == list(range(best + 3)), "two more, and no better"
    np.testing.assert_allclose([epoch.valid_loss for epoch in told], losses[: best + 2], rtol=1e-3, atol=1e-7)
    assert float(goal.weight) == pytest.approx(after[best - 1], rel=1e-4)
    assert fitted.epochs[0].valid_loss == pytest.approx(4e-4) and fitted.epochs[0].train_loss is None
    assert (fitted.num_train, fitted.num_valid, fitted.chance) == (30, 10, 10.0)


def test_what_is_held_out_is_never_learned_from():
    goal = Rising()
    fit(goal, contents(), options(epochs=3), {"x": 1e-3})
    trained = [set(rows.tolist()) for rows, number in goal.rows if number > 0]
    measured = [rows.tolist() for rows, number in goal.rows if number < 0]
    assert all(rows == measured[0] for rows in measured), "the same each time"
    held_out = set(measured[0])
    assert len(held_out) == 10 and not held_out & set.union(*trained)
    assert all(len(rows) == 10 for rows in trained) and set.union(*trained[:3]) == set(range(NUM)) - held_out
    assert trained[:3] != trained[3:6], "shuffled anew"


def test_the_same_seed_is_the_same_training():
    def rows(seed):
        goal = Rising()
        fit(goal, contents(), options(epochs=2, seed=seed), {"x": 1e-3})
        return [(tuple(rows), number) for rows, number in goal.rows]

    assert rows(1) == rows(1) != rows(2)


def test_a_loss_that_is_no_number_ends_it():
    with pytest.raises(UsageError, match="the loss is no number any more in epoch 1; lower the learning rate"):
        fit(Rising(scale=float("nan")), contents(), options(), {"x": 1e-3})


def test_an_encoder_without_a_gradient_is_refused():
    with pytest.raises(UsageError, match="no gradient reaches the encoder's weights"):
        fit(Rising(reads_encoder=False), contents(), options(), {"x": 1e-3})
