import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.layerwise_adam import LayerwiseAdam, Warmup
from tfmmrec.models import Trainable

ROWS = np.array([0, 2, 2, 1, 2, 0], np.int32)
TARGETS = np.array([1.0, -2.0, 0.5, 3.0, 1.5, -1.0], np.float32)
TABLE = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.0]], np.float32)
SLOPE = np.array([1.5, -0.5], np.float32)
PENALTY = 0.1


class Regression(Trainable):
    """⟨row of a table, slope⟩ is to be a target; mean squared error over the global batch, L2 penalty on the slope."""

    def __init__(self, penalty=PENALTY):
        super().__init__()
        self.table = tf.Variable(TABLE, name="table")
        self.slope = tf.Variable(SLOPE, name="slope")
        self.unused = tf.Variable(1.0, name="unused")
        self.penalty = penalty

    @property
    def losses(self):
        return [self.penalty * tf.reduce_sum(self.slope**2)] if self.penalty else []

    def compute_loss(self, inputs, training=False):
        found = tf.linalg.matvec(tf.gather(self.table, inputs["row"]), self.slope)
        total = tf.distribute.get_replica_context().all_reduce("sum", tf.cast(tf.size(found), tf.float32))
        return tf.reduce_sum((found - inputs["target"]) ** 2) / total


def batches():
    return tf.data.Dataset.from_tensors({"row": ROWS, "target": TARGETS}).repeat()


def fit(optimizer, strategy=None, steps=1, **options):
    with (strategy or tf.distribute.get_strategy()).scope():
        model = Regression(**options)
        model.compile(optimizer=optimizer())
    history = model.fit(batches(), epochs=steps, steps_per_epoch=1, verbose=0).history
    return model, history


def gradients(penalty=PENALTY):
    """Of the loss at the start, from the formula."""
    error = 2 * (TABLE[ROWS] @ SLOPE - TARGETS) / len(ROWS)
    table = np.zeros_like(TABLE)
    np.add.at(table, ROWS, error[:, None] * SLOPE)
    return table, error @ TABLE[ROWS] + 2 * penalty * SLOPE


def test_a_step_goes_down_the_gradient_of_loss_and_regularization():
    model, history = fit(lambda: tf.keras.optimizers.SGD(0.1))
    np.testing.assert_allclose(model.table, TABLE - 0.1 * gradients()[0], rtol=1e-5)
    np.testing.assert_allclose(model.slope, SLOPE - 0.1 * gradients()[1], rtol=1e-5)
    assert float(model.unused) == 1.0  # a weight without a gradient stays
    assert history["loss"] == [pytest.approx(np.mean((TABLE[ROWS] @ SLOPE - TARGETS) ** 2))]
    assert history["regularization"] == [pytest.approx(PENALTY * np.sum(SLOPE**2))]


def test_without_regularization():
    model, history = fit(lambda: tf.keras.optimizers.SGD(0.1), penalty=0.0)
    assert history["regularization"] == [0.0]
    np.testing.assert_allclose(model.slope, SLOPE - 0.1 * gradients(0.0)[1], rtol=1e-5)


@pytest.mark.parametrize("num_replicas", [2, 3])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: tf.keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01),
        lambda: tf.keras.optimizers.SGD(0.1, weight_decay=0.01, global_clipnorm=0.5),
        lambda: tf.keras.optimizers.SGD(0.1, clipnorm=0.2),
        lambda: tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.SGD(0.1, global_clipnorm=0.5)),
    ],
    ids=["decay", "decay and global clip", "clip", "scaled and global clip"],
)
def test_replicas_take_the_step_of_one(num_replicas, optimizer, replicas):
    one, one_history = fit(optimizer, steps=3)
    many, history = fit(optimizer, replicas(num_replicas), steps=3)
    for name in ("loss", "regularization"):  # the regularization counts once, not once for each replica
        np.testing.assert_allclose(history[name], one_history[name], rtol=1e-5)
    for name in ("table", "slope"):
        np.testing.assert_allclose(getattr(many, name), getattr(one, name), rtol=1e-5, atol=1e-6)


def test_a_clip_takes_the_norm_of_whole_rows():
    """A row that stands three times in a batch has one gradient, their sum."""
    model, _ = fit(lambda: tf.keras.optimizers.SGD(1.0, global_clipnorm=0.5))
    table, slope = gradients()
    norm = np.sqrt((table**2).sum() + (slope**2).sum())
    assert norm > 0.5
    np.testing.assert_allclose(model.table, TABLE - table * 0.5 / norm, rtol=1e-4)
    np.testing.assert_allclose(model.slope, SLOPE - slope * 0.5 / norm, rtol=1e-4)
    each, _ = fit(lambda: tf.keras.optimizers.SGD(1.0, clipnorm=0.2))
    np.testing.assert_allclose(each.table, TABLE - table * 0.2 / np.linalg.norm(table), rtol=1e-4)


def test_the_loss_is_scaled_against_underflow_and_the_step_is_not():
    @tf.custom_gradient
    def half_precision_on_the_way_back(value):
        return value, lambda upstream: tf.cast(tf.cast(upstream, tf.float16), tf.float32)

    class Faint(Regression):
        """Its gradients are too small for float16."""

        def compute_loss(self, inputs, training=False):
            return 1e-9 * half_precision_on_the_way_back(super().compute_loss(inputs))

    for scaled in (False, True):
        model = Faint(penalty=0.0)
        optimizer = tf.keras.optimizers.SGD(1e8)
        model.compile(tf.keras.mixed_precision.LossScaleOptimizer(optimizer) if scaled else optimizer)
        model.fit(batches(), steps_per_epoch=1, verbose=0)
        step = 0.1 * gradients(0.0)[1] if scaled else np.zeros(2)
        np.testing.assert_allclose(model.slope, SLOPE - step, rtol=1e-3)


def test_a_step_whose_gradients_overflow_is_left_out_and_the_scale_halved():
    optimizer = tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.SGD(0.1), initial_scale=2.0**127)
    model, _ = fit(lambda: optimizer, steps=1)
    np.testing.assert_array_equal(model.table, TABLE)
    assert float(optimizer.loss_scale) == 2.0**126


def test_the_optimizers_of_old_do_too():
    model, _ = fit(lambda: tf.keras.optimizers.legacy.SGD(0.1))
    np.testing.assert_allclose(model.slope, SLOPE - 0.1 * gradients()[1], rtol=1e-5)


def test_evaluating_trains_nothing():
    model, _ = fit(lambda: tf.keras.optimizers.SGD(0.0))
    found = model.evaluate(batches(), steps=2, return_dict=True, verbose=0)
    assert found["loss"] == pytest.approx(np.mean((TABLE[ROWS] @ SLOPE - TARGETS) ** 2))
    assert found["regularization"] == pytest.approx(PENALTY * np.sum(SLOPE**2))
    np.testing.assert_array_equal(model.table, TABLE)


def test_the_loss_of_an_epoch_is_its_own():
    model, _ = fit(lambda: tf.keras.optimizers.SGD(0.0))
    losses = model.fit(batches(), epochs=3, steps_per_epoch=2, verbose=0).history["loss"]
    assert losses == [pytest.approx(np.mean((TABLE[ROWS] @ SLOPE - TARGETS) ** 2))] * 3


def test_a_model_says_what_it_lacks():
    class Nothing(Trainable):
        """No model."""

    with pytest.raises(NotImplementedError, match="Nothing has no compute_loss"):
        Nothing().compute_loss({})


def test_share_of_mean_is_weighted_and_survives_a_batch_without_weight():
    losses, weight = tf.constant([1.0, 2.0, 6.0]), tf.constant([1.0, 0.0, 3.0])
    model = Regression()
    np.testing.assert_allclose(model.share_of_mean(losses), (1 + 2 + 6) / 3)
    np.testing.assert_allclose(model.share_of_mean(losses, weight), (1 * 1 + 3 * 6) / 4)
    np.testing.assert_allclose(model.share_of_mean(losses, weight, tf.constant(10.0)), (1 * 1 + 3 * 6) / 10)
    assert float(model.share_of_mean(losses, tf.zeros([3]))) == 0.0


PARTS = [(ROWS, TARGETS), (ROWS[::-1].copy(), 2 * TARGETS), (ROWS // 2, TARGETS - 1)]
"""Batches of one step, with what they touch."""


def fit_groups(optimizer, strategy=None, steps=1, parts=PARTS):
    """Each step is on a tuple of batches."""
    with (strategy or tf.distribute.get_strategy()).scope():
        model = Regression()
        model.compile(optimizer=optimizer())
    group = tuple({"row": rows, "target": targets} for rows, targets in parts)
    model.fit(tf.data.Dataset.from_tensors(group).repeat(), epochs=steps, steps_per_epoch=1, verbose=0)
    return model


def mean_gradients(table, slope):
    """Of the mean over the batches of loss and penalty, from the formula."""
    of_table, of_slope = np.zeros_like(table), 2 * PENALTY * slope
    for rows, targets in PARTS:
        error = 2 * (table[rows] @ slope - targets) / len(rows) / len(PARTS)
        np.add.at(of_table, rows, error[:, None] * slope)
        of_slope = of_slope + error @ table[rows]
    return of_table, of_slope


OPTIMIZERS = {
    "sgd": lambda: tf.keras.optimizers.SGD(0.05),
    "adam": lambda: tf.keras.optimizers.Adam(0.05),
    "clip": lambda: tf.keras.optimizers.SGD(0.05, global_clipnorm=0.5),
    "decay": lambda: LayerwiseAdam(Warmup(0.05, 3), weight_decay=0.1),
    "scaled": lambda: tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.Adam(0.05)),
}


@pytest.mark.parametrize("num_replicas", [1, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_several_batches_move_the_weights_once_down_their_mean_gradient(name, num_replicas, replicas):
    """Against the same optimizer, given gradients that NumPy has worked out."""
    strategy = replicas(2) if num_replicas == 2 else None
    model = fit_groups(OPTIMIZERS[name], strategy, steps=3)
    optimizer = getattr(OPTIMIZERS[name](), "inner_optimizer", None) or OPTIMIZERS[name]()
    table, slope = tf.Variable(TABLE), tf.Variable(SLOPE)
    for _ in range(3):
        gradients = mean_gradients(table.numpy(), slope.numpy())
        optimizer.apply_gradients(zip(map(tf.constant, gradients), (table, slope), strict=True))
    np.testing.assert_allclose(model.table, table, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.slope, slope, rtol=1e-4, atol=1e-5)
    assert model.optimizer.iterations.numpy() == 3


def test_an_accumulated_step_by_hand():
    model = fit_groups(lambda: tf.keras.optimizers.SGD(0.1))
    table, slope = mean_gradients(TABLE, SLOPE)
    np.testing.assert_allclose(model.table, TABLE - 0.1 * table, rtol=1e-5)
    np.testing.assert_allclose(model.slope, SLOPE - 0.1 * slope, rtol=1e-5)
    model = fit_groups(lambda: tf.keras.optimizers.Adam(0.1, epsilon=1e-7))
    np.testing.assert_allclose(model.slope, SLOPE - 0.1 * slope / (np.abs(slope) + 1e-7), rtol=1e-3)


def test_one_batch_after_the_other():
    """No op of the second batch runs before the first one's gradients are there: memory is that of one batch."""
    model = fit_groups(lambda: tf.keras.optimizers.SGD(0.1))
    group = tuple({"row": tf.constant(rows), "target": tf.constant(targets)} for rows, targets in PARTS)
    graph = tf.function(model.train_step).get_concrete_function(group).graph
    gathers = [op for op in graph.get_operations() if op.type == "ResourceGather"]
    assert len(gathers) == len(PARTS)

    def comes_after(op, other):
        seen, found = set(), [op]
        while found:
            at = found.pop()
            if at.name == other.name:
                return True
            if at.name not in seen:
                seen.add(at.name)
                found += [tensor.op for tensor in at.inputs] + list(at.control_inputs)
        return False

    assert comes_after(gathers[2], gathers[1]) and comes_after(gathers[1], gathers[0])
    assert not comes_after(gathers[0], gathers[1])
