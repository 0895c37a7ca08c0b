import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.losses import NegativeSampler
from tfmmrec.types import UsageError

COUNTS = np.array([0, 9, 1, 0, 90])


def test_uniform_draws_are_of_all_that_were_chosen_alike():
    rows, log_expected = NegativeSampler(9000, COUNTS, seed=1)(training=True)
    share = np.bincount(rows, minlength=5) / 9000
    np.testing.assert_allclose(share, np.array([0, 1, 1, 0, 1]) / 3, atol=4 * 0.005)  # √(2/9 / 9,000) = 0.005
    np.testing.assert_allclose(log_expected, np.log(9000 / 3), rtol=1e-6)


def test_draws_by_popularity():
    rows, log_expected = NegativeSampler(9000, COUNTS, power=1.0, seed=1)(training=True)
    np.testing.assert_allclose(np.bincount(rows, minlength=5) / 9000, COUNTS / 100, atol=4 * 0.0032)  # √(.09 / 9,000)
    np.testing.assert_allclose(log_expected, np.log(9000 * COUNTS[rows] / 100), rtol=1e-4)


def test_every_step_draws_others_and_a_checkpoint_remembers(tmp_path):
    sampler = NegativeSampler(20, COUNTS, seed=3)
    first, second = (sampler(training=True)[0].numpy() for _ in range(2))
    assert not np.array_equal(first, second)
    path = tf.train.Checkpoint(sampler=sampler).write(str(tmp_path / "sampler"))
    third = sampler(training=True)[0].numpy()
    again = NegativeSampler(20, COUNTS, seed=3)
    tf.train.Checkpoint(sampler=again).read(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(again(training=True)[0], third)


def test_out_of_training_they_are_always_the_same():
    sampler = NegativeSampler(20, COUNTS, seed=3)
    first = sampler()[0].numpy()
    sampler(training=True)
    np.testing.assert_array_equal(sampler()[0], first)
    assert int(sampler.draws.count) == 1


def test_every_replica_draws_the_same(replicas):
    strategy = replicas(2)
    with strategy.scope():
        sampler = NegativeSampler(20, COUNTS, seed=3)
    expected = NegativeSampler(20, COUNTS, seed=3)
    for _ in range(2):
        found = tf.function(lambda: strategy.run(lambda: sampler(training=True)[0]))()
        one, other = strategy.experimental_local_results(found)
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, expected(training=True)[0])


def test_the_chance_to_be_drawn_at_all():
    assert NegativeSampler(4, COUNTS).log_inclusion == pytest.approx(np.log(1 - (1 - 1 / 3) ** 4))
    assert NegativeSampler(4, COUNTS[4:]).log_inclusion == pytest.approx(0.0, abs=1e-9)  # the only one


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_negatives": 0}, "num_negatives must be at least 1, got 0"),
        ({"power": -1.0}, "the power of popularity must be 0 or more, got -1.0"),
        ({"counts": COUNTS * 0}, "one above 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        NegativeSampler(**({"num_negatives": 2, "counts": COUNTS} | options))
