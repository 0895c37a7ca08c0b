import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.layerwise_adam import Layer, LayerwiseAdam, Warmup, finetuned_layers
from tfmmrec.types import UsageError

RATE, DECAY = 0.1, 0.01


def variables(count=3):
    return [tf.Variable(np.full(2, 1.0 + number), dtype=tf.float32, name=f"kernel_{number}") for number in range(count)]


def steps(optimizer, trained, num_steps, seed=0):
    """Gradients of some steps, applied; returns them `[num_steps, variables, 2]`."""
    gradients = np.random.default_rng(seed).normal(size=(num_steps, len(trained), 2)).astype(np.float32)
    for step in gradients:
        optimizer.apply_gradients(list(zip(map(tf.constant, step), trained, strict=True)))
    return gradients


def adam(start, gradients, rates, decay=0.0, epsilon=1e-7, numbers=None):
    """AdamW by hand (Loshchilov & Hutter 2019, algorithm 2), a rate for each step; steps are numbered from 1."""
    value, first, second = start.astype(float), 0.0, 0.0
    numbers = range(1, len(rates) + 1) if numbers is None else numbers
    for place, gradient, rate in zip(numbers, gradients, rates, strict=True):
        value = value - rate * decay * value
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        alpha = rate * np.sqrt(1 - 0.999**place) / (1 - 0.9**place)
        value = value - alpha * first / (np.sqrt(second) + epsilon)
    return value


def test_each_layer_has_its_rate():
    top, bottom, other = trained = variables()
    starts = [variable.numpy() for variable in trained]
    layers = [Layer([bottom], 0.1), Layer([top], 0.5)]
    optimizer = LayerwiseAdam(RATE, layers, weight_decay=DECAY)
    gradients = steps(optimizer, trained, 4)
    for place, factor in enumerate((0.5, 0.1, 1.0)):
        expected = adam(starts[place], gradients[:, place], [RATE * factor] * 4, DECAY)
        np.testing.assert_allclose(trained[place], expected, rtol=1e-4)
    assert optimizer.learning_rate.numpy() == pytest.approx(RATE)


def test_a_frozen_layer_stays_until_its_step_and_then_follows_its_moments():
    trained = variables(2)
    start = trained[0].numpy()
    optimizer = LayerwiseAdam(RATE, [Layer([trained[0]], 1.0, first_step=2)], weight_decay=DECAY)
    first = steps(optimizer, trained, 2)
    np.testing.assert_array_equal(trained[0], start)
    more = steps(optimizer, trained, 2, seed=1)
    gradients = np.concatenate([first, more])[:, 0]
    np.testing.assert_allclose(trained[0], adam(start, gradients, [0, 0, RATE, RATE], DECAY), rtol=1e-4)


def test_without_layers_it_is_adam():
    ours, theirs = variables(), variables()
    steps(LayerwiseAdam(RATE, weight_decay=DECAY, global_clipnorm=0.5), ours, 3)
    steps(tf.keras.optimizers.Adam(RATE, weight_decay=DECAY, global_clipnorm=0.5), theirs, 3)
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(own, other)


def test_in_a_graph_under_replicas(replicas):
    results = []
    for strategy in (tf.distribute.get_strategy(), replicas(2)):
        with strategy.scope():
            trained = variables(2)
            optimizer = LayerwiseAdam(RATE, [Layer([trained[0]], 0.3, first_step=1)], weight_decay=DECAY)
            optimizer.build(trained)

        @tf.function
        def step(strategy=strategy, optimizer=optimizer, trained=trained):
            gradient = 0.1 / strategy.num_replicas_in_sync
            strategy.run(lambda: optimizer.apply_gradients([(v * 0.0 + gradient, v) for v in trained]))

        for _ in range(3):
            step()
        results.append([variable.numpy() for variable in trained])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6)


def test_layers_of_an_encoder():
    layers = [[variable] for variable in variables()]
    found = finetuned_layers(layers, 0.5, layer_decay=0.1, unfreeze_steps=7)
    assert [layer.variables for layer in found] == layers
    np.testing.assert_allclose([layer.factor for layer in found], [0.005, 0.05, 0.5])
    assert [layer.first_step for layer in found] == [14, 7, 0]
    assert [layer.factor for layer in finetuned_layers(layers, 0.5, num_trained=2)] == [0.0, 0.5, 0.5]


@pytest.mark.parametrize("wrong", [{"factor": 0}, {"layer_decay": 1.1}, {"num_trained": 0}, {"unfreeze_steps": -1}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match=r"factor must be positive, layer_decay in \(0, 1\], num_trained at least 1"):
        finetuned_layers([], **{"factor": 1.0} | wrong)


def test_warmup():
    constant = Warmup(0.4, 4)
    np.testing.assert_allclose([constant(step) for step in range(6)], [0.1, 0.2, 0.3, 0.4, 0.4, 0.4], rtol=1e-6)
    falling = tf.keras.optimizers.schedules.InverseTimeDecay(0.4, 10, 1.0)
    for schedule in (Warmup(falling, 2), Warmup.from_config(Warmup(falling, 2).get_config())):
        np.testing.assert_allclose([schedule(step) for step in (0, 1, 10)], [0.2, 0.4 / 1.1, 0.2], rtol=1e-6)
    with pytest.raises(UsageError, match="num_steps of a warmup must be at least 1, got 0"):
        Warmup(0.4, 0)


def scaled(layers, **options):
    """Under a loss scale that starts at 1024 and doubles after two steps."""
    options = {"initial_scale": 1024.0, "dynamic_growth_steps": 2} | options
    inner = LayerwiseAdam(RATE, layers, weight_decay=DECAY)
    return tf.keras.mixed_precision.LossScaleOptimizer(inner, **options)


def scaled_steps(optimizer, trained, gradients):
    """Steps of a loss whose gradients these are, as a training step takes them."""

    @tf.function
    def step(factors):
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_sum(f * v) for f, v in zip(factors, trained, strict=True)])
            loss = optimizer.get_scaled_loss(loss)
        found = optimizer.get_unscaled_gradients(tape.gradient(loss, trained))
        optimizer.apply_gradients(list(zip(found, trained, strict=True)))

    optimizer.build(trained)
    for factors in gradients:
        step([tf.constant(factor) for factor in factors])


def test_under_a_loss_scale_layers_have_their_rates():
    trained, gradients = variables(3), np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)
    starts = [variable.numpy() for variable in trained]
    optimizer = scaled([Layer([trained[0]], 0.5), Layer([trained[1]], 1.0, first_step=2)])
    scaled_steps(optimizer, trained, gradients)
    rates = [[RATE * 0.5] * 4, [0.0, 0.0, RATE, RATE], [RATE] * 4]
    for place, rate in enumerate(rates):
        np.testing.assert_allclose(trained[place], adam(starts[place], gradients[:, place], rate, DECAY), rtol=1e-4)
    assert float(optimizer.loss_scale) == 4096.0


def test_a_step_that_overflows_changes_nothing():
    """Keras counts it all the same: schedules, and the steps after which layers are trained, go on."""
    trained, gradients = variables(2), np.random.default_rng(0).normal(size=(3, 2, 2)).astype(np.float32)
    starts = [variable.numpy() for variable in trained]
    optimizer = scaled([Layer([trained[0]], 1.0, first_step=2)], dynamic_growth_steps=100)
    scaled_steps(optimizer, trained, [gradients[0], np.full((2, 2), np.inf, np.float32)])
    np.testing.assert_array_equal(trained[0], starts[0])
    np.testing.assert_allclose(trained[1], adam(starts[1], gradients[:1, 1], [RATE], DECAY), rtol=1e-4)
    assert int(optimizer.iterations) == 2 and float(optimizer.loss_scale) == 512.0
    scaled_steps(optimizer, trained, gradients[1:])
    for place, rates in enumerate(([0.0, RATE, RATE], [RATE] * 3)):
        expected = adam(starts[place], gradients[:, place], rates, DECAY, numbers=(1, 3, 4))
        np.testing.assert_allclose(trained[place], expected, rtol=1e-4)


@pytest.mark.parametrize("is_scaled", [False, True])
def test_from_a_checkpoint_it_goes_on_as_if_it_had_not_stopped(tmp_path, is_scaled):
    gradients = np.random.default_rng(0).normal(size=(6, 2, 2)).astype(np.float32)

    def begin():
        trained = variables(2)
        layers = [Layer([trained[0]], 0.5, first_step=4)]  # after the checkpoint
        optimizer = scaled(layers) if is_scaled else LayerwiseAdam(RATE, layers, weight_decay=DECAY)
        optimizer.build(trained)
        return trained, optimizer, tf.train.Checkpoint(trained=trained, optimizer=optimizer)

    def go(optimizer, trained, part):
        if is_scaled:
            scaled_steps(optimizer, trained, part)
            return
        for step in part:
            optimizer.apply_gradients(list(zip(map(tf.constant, step), trained, strict=True)))

    whole, optimizer, _ = begin()
    go(optimizer, whole, gradients)
    first, optimizer, checkpoint = begin()
    go(optimizer, first, gradients[:3])
    path = checkpoint.write(str(tmp_path / "checkpoint"))
    trained, again, checkpoint = begin()
    checkpoint.read(path).assert_consumed()
    assert int(again.iterations) == 3
    if is_scaled:
        assert float(again.loss_scale) == float(optimizer.loss_scale) == 2048.0 and int(again.dynamic_counter) == 1
    go(again, trained, gradients[3:])
    for own, other in zip(trained, whole, strict=True):
        np.testing.assert_array_equal(own, other)
    assert (whole[0].numpy() != first[0].numpy()).all()


def table_steps(strategy, rows_of_steps, gradients, **options):
    """A table of 5 rows and a kernel, after steps whose sparse gradients have these rows, some of them twice."""
    with strategy.scope():
        table = tf.Variable(np.arange(10.0, dtype=np.float32).reshape(5, 2), name="table")
        kernel = tf.Variable([1.0, 2.0], name="kernel")
        optimizer = LayerwiseAdam(RATE, lazy=True, weight_decay=DECAY, **options)
        optimizer.build([table, kernel])

    @tf.function(reduce_retracing=True)
    def step(rows, gradient):
        share = gradient / strategy.num_replicas_in_sync

        def update():
            sparse = tf.IndexedSlices(share, rows, tf.constant([5, 2]))
            optimizer.apply_gradients([(sparse, table), (tf.reduce_sum(share, axis=0), kernel)])

        strategy.run(update)

    for rows, gradient in zip(rows_of_steps, gradients, strict=True):
        step(tf.constant(rows), tf.constant(gradient))
    return table.numpy(), kernel.numpy()


@pytest.mark.parametrize("num_replicas", [1, 2])
def test_a_lazy_one_moves_only_the_rows_that_the_gradient_has(replicas, num_replicas):
    strategy = tf.distribute.get_strategy() if num_replicas == 1 else replicas(num_replicas)
    rows_of_steps = [[0, 2, 2], [2, 3, 0], [0, 0, 3]]
    gradients = np.random.default_rng(0).normal(size=(3, 3, 2)).astype(np.float32)
    table, kernel = table_steps(strategy, rows_of_steps, gradients)
    start = np.arange(10.0, dtype=np.float32).reshape(5, 2)
    for row in range(5):
        steps_with_it = [step for step, rows in enumerate(rows_of_steps) if row in rows]
        summed = [gradients[step][np.array(rows_of_steps[step]) == row].sum(axis=0) for step in steps_with_it]
        numbers = [step + 1 for step in steps_with_it]
        expected = adam(start[row], summed, [RATE] * len(numbers), DECAY, numbers=numbers)
        np.testing.assert_allclose(table[row], expected, rtol=1e-5)
    np.testing.assert_array_equal(table[[1, 4]], start[[1, 4]])  # not even decayed
    dense = adam(np.array([1.0, 2.0]), gradients.sum(axis=1), [RATE] * 3, DECAY)
    np.testing.assert_allclose(kernel, dense, rtol=1e-5)


def test_a_lazy_one_leaves_what_is_not_decayed_and_has_a_config():
    gradients = np.zeros((1, 3, 2), np.float32)
    optimizer = LayerwiseAdam(RATE, lazy=True, weight_decay=DECAY)
    optimizer.exclude_from_weight_decay(var_names=["table"])
    table = tf.Variable(np.ones((5, 2), np.float32), name="table")
    optimizer.apply_gradients([(tf.IndexedSlices(tf.constant(gradients[0]), [0, 1, 2], tf.constant([5, 2])), table)])
    np.testing.assert_array_equal(table, 1.0)
    assert LayerwiseAdam.from_config(optimizer.get_config()).lazy
    assert not LayerwiseAdam.from_config(LayerwiseAdam().get_config()).lazy
