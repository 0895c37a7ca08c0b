import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.models.task_weights import TaskWeights
from tfmmrec.types import UsageError

LOSSES = {"retrieval": 6.0, "rating": 0.5, "tags": 3.0}


def losses():
    return {name: tf.constant(loss) for name, loss in LOSSES.items()}


def test_fixed_weights_are_a_weighted_sum():
    found = TaskWeights({"retrieval": 1.0, "rating": 2.0, "tags": 0.25})(losses())
    assert float(found) == pytest.approx(6.0 + 2.0 * 0.5 + 0.25 * 3.0)


def test_learned_weights_are_the_paper_s():
    weights = TaskWeights(dict.fromkeys(LOSSES, 9.0), "uncertainty")
    weights.log_variances.assign([1.0, -0.5, 2.0])
    sigma = np.exp(np.array([1.0, -0.5, 2.0]) / 2)
    # 1 / (2 σ²) L + log σ for the squared error, 1 / σ² L + log σ for the others
    expected = 6.0 / sigma[0] ** 2 + 0.5 / (2 * sigma[1] ** 2) + 3.0 / sigma[2] ** 2 + np.log(sigma).sum()
    assert float(weights(losses())) == pytest.approx(expected, rel=1e-5)


def test_learned_weights_come_to_a_half_over_the_loss():
    weights = TaskWeights(dict.fromkeys(LOSSES, 1.0), "uncertainty")
    optimizer = tf.keras.optimizers.SGD(0.5)
    for _ in range(300):
        optimizer.minimize(lambda: weights(losses()), weights.trainable_variables)
    found = np.exp(-weights.log_variances.numpy()) * [1.0, 0.5, 1.0]
    np.testing.assert_allclose(found, [0.5 / 6.0, 0.5 / 0.5, 0.5 / 3.0], rtol=1e-3)


def test_fixed_weights_have_nothing_to_train():
    assert not TaskWeights({"retrieval": 1.0}).variables


def test_it_comes_back_from_its_config():
    weights = TaskWeights({"retrieval": 1.0, "tags": 0.5}, "uncertainty", name="task_weights")
    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(weights))
    assert type(again) is TaskWeights and again.get_config() == weights.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"retrieval": 1.0}, "learned"), "task_weighting must be one of fixed, uncertainty, got 'learned'"),
        (({"rating": -1.0},), "rating_weight must be 0 or more, got -1.0"),
    ],
)
def test_what_cannot_be(arguments, message):
    with pytest.raises(UsageError, match=message):
        TaskWeights(*arguments)
