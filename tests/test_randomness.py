import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.randomness import Dropout, RandomDraws
from tfmmrec.types import UsageError


def drawn(draws, times=3, size=5):
    return [draws(tf.constant([size])).numpy() for _ in range(times)]


def test_numbers_are_uniform_and_every_draw_differs():
    numbers = np.concatenate(drawn(RandomDraws(seed=1), times=20, size=500))
    assert numbers.min() >= 0.0 and numbers.max() < 1.0
    assert len(np.unique(numbers)) > 9_990
    # mean and variance of uniform numbers: 1/2 ± 0.0029, 1/12
    assert abs(numbers.mean() - 0.5) < 4 * 0.0029
    assert numbers.var() == pytest.approx(1 / 12, rel=0.05)


def test_the_same_seed_gives_the_same_stream_and_another_another():
    np.testing.assert_array_equal(drawn(RandomDraws(seed=1)), drawn(RandomDraws(seed=1)))
    assert (np.array(drawn(RandomDraws(seed=1))) != np.array(drawn(RandomDraws(seed=2)))).all()


def test_unseeded_streams_differ_and_follow_keras_seed():
    tf.keras.utils.set_random_seed(7)
    one, other = RandomDraws(), RandomDraws()
    assert one.seed != other.seed
    tf.keras.utils.set_random_seed(7)
    np.testing.assert_array_equal(drawn(RandomDraws()), drawn(one))


def test_a_shape_known_only_in_the_graph():
    draws = RandomDraws(seed=1)
    in_graph = tf.function(lambda x: draws(tf.shape(x)), input_signature=[tf.TensorSpec([None, 2])])
    expected = RandomDraws(seed=1)
    for rows in (3, 1):
        np.testing.assert_array_equal(in_graph(tf.zeros([rows, 2])), expected(tf.constant([rows, 2])))


def test_the_config_has_the_seed():
    draws = RandomDraws(name="draws")
    again = RandomDraws.from_config(draws.get_config())
    assert not again.trainable_variables
    np.testing.assert_array_equal(drawn(again), drawn(draws))
    dropout = Dropout(0.5)
    ones = tf.ones([64])
    np.testing.assert_array_equal(
        Dropout.from_config(dropout.get_config())(ones, training=True), dropout(ones, training=True)
    )


def test_a_checkpoint_goes_on_with_the_masks_that_would_have_come(tmp_path):
    inputs = tf.ones([100])
    layer = Dropout(0.5, seed=3)
    before = [layer(inputs, training=True).numpy() for _ in range(4)]
    tf.train.Checkpoint(layer=layer).write(str(tmp_path / "checkpoint"))
    after = [layer(inputs, training=True).numpy() for _ in range(3)]
    restored = Dropout(0.5, seed=3)  # another process: same seed, nothing drawn
    np.testing.assert_array_equal(restored(inputs, training=True), before[0])
    tf.train.Checkpoint(layer=restored).read(str(tmp_path / "checkpoint")).assert_consumed()
    np.testing.assert_array_equal([restored(inputs, training=True).numpy() for _ in range(3)], after)


@pytest.mark.parametrize("num_replicas", [2, 4])
def test_replicas_draw_different_numbers_and_count_together(replicas, num_replicas):
    strategy = replicas(num_replicas)
    with strategy.scope():
        draws = RandomDraws(seed=1)
    step = tf.function(lambda: strategy.run(lambda: draws(tf.constant([50]))))
    seen = [value.numpy() for _ in range(3) for value in strategy.experimental_local_results(step())]
    assert len(np.unique(np.concatenate(seen))) > 50 * 3 * num_replicas - 3
    assert [int(copy) for copy in strategy.experimental_local_results(draws.count)] == [3] * num_replicas
    # the first replica's are those of one device
    np.testing.assert_array_equal(seen[::num_replicas], drawn(RandomDraws(seed=1), size=50))


def test_a_shared_dropout_has_the_same_mask_on_every_replica(replicas):
    strategy = replicas(2)
    with strategy.scope():
        layers = [Dropout(0.5, seed=1, shared=shared) for shared in (True, False)]
    step = tf.function(
        lambda: strategy.run(lambda: tf.stack([layer(tf.ones([50]), training=True) for layer in layers]))
    )
    one, other = (value.numpy() for value in strategy.experimental_local_results(step()))
    np.testing.assert_array_equal(one[0], other[0])
    assert (one[1] != other[1]).any()
    again = Dropout.from_config(layers[0].get_config())
    assert again.shared


def test_dropout_keeps_the_mean():
    inputs = tf.fill([200, 100], 3.0)
    found = Dropout(0.25, seed=0)(inputs, training=True).numpy()
    assert set(np.unique(found)) == {0.0, 4.0}  # 3 / (1 − 0.25)
    # 20,000 draws at 0.25: standard deviation 0.0031
    assert abs((found == 0).mean() - 0.25) < 4 * 0.0031


def test_dropout_does_nothing_outside_training_or_at_rate_zero():
    inputs = tf.constant([1.0, 2.0])
    for layer, options in ((Dropout(0.9), {"training": False}), (Dropout(0.9), {}), (Dropout(0.0), {"training": True})):
        np.testing.assert_array_equal(layer(inputs, **options), inputs)
        assert int(layer.draws.count) == 0


def test_dropout_passes_the_gradient_of_what_it_kept():
    inputs = tf.Variable(tf.ones([50]))
    with tf.GradientTape() as tape:
        found = Dropout(0.5, seed=1)(inputs, training=True)
    np.testing.assert_array_equal(tape.gradient(found, inputs), found)  # 2 where kept, 0 where not


def test_dropout_of_half_precision():
    assert Dropout(0.5, dtype="mixed_float16")(tf.ones([4]), training=True).dtype == tf.float16


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(UsageError, match=r"dropout must lie in \[0, 1\), got"):
        Dropout(rate)


def test_a_seed_may_be_the_same_on_every_replica(replicas):
    strategy = replicas(2)
    with strategy.scope():
        draws = RandomDraws(seed=5)
    for shared in (True, False):
        step = tf.function(lambda shared=shared: strategy.run(lambda: draws.next_seed(shared)))
        (one, other), again = (strategy.experimental_local_results(step()) for _ in range(2))
        assert np.array_equal(one, other) == shared
        assert not np.array_equal(again[0], one)
