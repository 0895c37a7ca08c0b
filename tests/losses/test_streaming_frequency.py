import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.losses import StreamingFrequency, log_inclusion_probability
from tfmmrec.types import UsageError


def chance(frequency, rows):
    return np.exp(frequency(tf.constant(rows)).numpy())


def test_one_step_by_hand():
    frequency = StreamingFrequency(num_buckets=8, rate=0.5, initial_interval=10.0)
    for rows in ([3, 1, -1], [1, -1, -1], [2, 2, -1], [3, 1, 2]):
        frequency(tf.constant(rows), training=True)
    # 3: seen at steps 1 and 4: first it keeps 10, then 0.5 · 10 + 0.5 · 3
    # 1: at 1, 2 and 4: 10, then 0.5 · 10 + 0.5 · 1 = 5.5, then 0.5 · 5.5 + 0.5 · 2
    # 2: at 3 (once, though twice in the batch) and 4: 10, then 0.5 · 10 + 0.5 · 1
    np.testing.assert_allclose(1 / chance(frequency, [3, 1, 2, 7]), [6.5, 3.75, 5.5, 10.0], rtol=1e-5)


def test_in_training_the_answer_has_the_new_estimate():
    frequency = StreamingFrequency(num_buckets=4, rate=1.0, initial_interval=10.0)
    frequency(tf.constant([0]), training=True)
    np.testing.assert_allclose(frequency(tf.constant([0]), training=True), [0.0])  # every step
    np.testing.assert_allclose(frequency(tf.constant([0, 1])), [0.0, -np.log(10)], rtol=1e-6)
    assert int(frequency.step) == 2  # outside training nothing is counted


def test_a_candidate_every_third_step_has_a_third():
    frequency = StreamingFrequency(num_buckets=4, rate=0.1, initial_interval=50.0)
    update = tf.function(lambda rows: frequency(rows, training=True))
    for step in range(300):
        update(tf.constant([0, 1 if step % 3 == 0 else -1]))
    # 100 updates leave 0.9 ** 99 = 3e-5 of the initial 50
    np.testing.assert_allclose(chance(frequency, [0, 1]), [1.0, 1 / 3], rtol=1e-3)


def test_it_converges_to_the_chance_of_being_in_a_batch():
    counts, batch_size = np.array([60, 25, 10, 5]), 3
    expected = np.exp(log_inclusion_probability(counts, batch_size))
    frequency = StreamingFrequency(num_buckets=4, rate=0.01)
    update = tf.function(lambda rows: frequency(rows, training=True))
    random = np.random.default_rng(0)
    intervals = []
    for step in range(6000):
        unique = np.unique(random.choice(4, batch_size, p=counts / 100))
        update(tf.constant(np.pad(unique, (0, 3 - unique.size), constant_values=-1)))
        if step >= 3000 and step % 10 == 0:
            intervals.append(1 / chance(frequency, range(4)))
    # Intervals are geometric, of variance (1 − p) / p². Averaged over 3000 steps they hold 3000 p of them and about
    # as many from the memory of the average before: the standard error is at most sqrt((1 − p) / p) / sqrt(3000) / p
    errors = np.sqrt((1 - expected) / expected**3 / 3000)
    assert (np.abs(np.mean(intervals, axis=0) - 1 / expected) < 4 * errors).all()


def test_candidates_share_buckets_when_there_are_more_of_them():
    frequency = StreamingFrequency(num_buckets=4, rate=1.0)
    for _ in range(3):
        frequency(tf.constant([1]), training=True)
    np.testing.assert_allclose(chance(frequency, [1, 5, 9]), [1.0, 1.0, 1.0])
    assert chance(frequency, [2])[0] == pytest.approx(0.01)


def test_a_chance_is_never_above_one():
    frequency = StreamingFrequency(num_buckets=2, rate=1.0, initial_interval=1.0)
    assert (frequency(tf.constant([0, 1])).numpy() <= 0.0).all()


def test_a_checkpoint_remembers_the_counts(tmp_path):
    frequency = StreamingFrequency(num_buckets=4)
    for rows in ([0, 1], [0, -1], [1, 2]):
        frequency(tf.constant(rows), training=True)
    tf.train.Checkpoint(frequency=frequency).write(str(tmp_path / "checkpoint"))
    other = StreamingFrequency(num_buckets=4)
    tf.train.Checkpoint(frequency=other).read(str(tmp_path / "checkpoint")).assert_consumed()
    for one in (frequency, other):
        one(tf.constant([0, 2]), training=True)
    np.testing.assert_array_equal(chance(other, range(4)), chance(frequency, range(4)))


def test_it_has_nothing_to_train_and_a_config():
    frequency = StreamingFrequency(num_buckets=4, rate=0.2, initial_interval=7.0)
    assert not frequency.trainable_variables and len(frequency.non_trainable_variables) == 3
    again = StreamingFrequency.from_config(frequency.get_config())
    assert (again.num_buckets, again.rate, again.initial_interval) == (4, 0.2, 7.0)


@pytest.mark.parametrize("num_replicas", [2, 4])
def test_all_replicas_keep_the_same_counts(replicas, num_replicas):
    strategy = replicas(num_replicas)
    with strategy.scope():
        frequency = StreamingFrequency(num_buckets=8, rate=0.3)
    alone = StreamingFrequency(num_buckets=8, rate=0.3)
    random = np.random.default_rng(0)

    @tf.function
    def step(rows):
        def one(rows):
            # every replica is given the candidates of all, its own first
            shift = tf.distribute.get_replica_context().replica_id_in_sync_group
            return frequency(tf.roll(rows, -2 * shift, axis=0), training=True)

        return strategy.run(one, args=(rows,))

    for _ in range(5):
        rows = tf.constant(random.integers(-1, 8, 2 * num_replicas), tf.int32)
        found = strategy.experimental_local_results(step(rows))
        expected = alone(rows, training=True).numpy()
        for replica, answer in enumerate(found):
            np.testing.assert_allclose(answer, np.roll(expected, -2 * replica), rtol=1e-6)
    for variable, single in zip(frequency.variables, alone.variables, strict=True):
        for copy in strategy.experimental_local_results(variable):
            np.testing.assert_allclose(copy.numpy(), single.numpy(), rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_counts_are_kept_in_full_precision(policy):
    frequency = StreamingFrequency(num_buckets=4, initial_interval=2001.0, dtype=policy)
    found = frequency(tf.constant([0]), training=True)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, [-np.log(2001.0)], rtol=1e-6)


@pytest.mark.parametrize("options", [{"num_buckets": 0}, {"rate": 0.0}, {"rate": 1.5}, {"initial_interval": 0.5}])
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(UsageError, match="need num_buckets ≥ 1, 0 < rate ≤ 1 and initial_interval ≥ 1, got"):
        StreamingFrequency(**options)
