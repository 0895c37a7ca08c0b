import json

import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.callbacks.keeper import Keeper, best_weights, plain_states, set_plain_states
from tfmmrec.types import UsageError


class Counting(tf.keras.callbacks.Callback):
    """Has state of every sort."""

    def __init__(self):
        super().__init__()
        self.epochs, self.share, self.note, self.on = 0, np.float32(0.0), "begun", False
        self.table = np.zeros(3)

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1
        self.share = np.float32(self.epochs / 10)
        self.note, self.on = f"epoch {epoch + 1}", True


class Metric(tf.keras.callbacks.Callback):
    """Puts given values into the logs, as a validation would; None for an epoch without."""

    def __init__(self, values, name="val_ndcg@20"):
        super().__init__()
        self.values, self.name = values, name

    def on_epoch_end(self, epoch, logs=None):
        if self.values[epoch] is not None:
            logs[self.name] = self.values[epoch]


def make_model():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
    model.compile(optimizer=tf.keras.optimizers.Adam(0.1), loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def fit(folder, values=(), epochs=None, model=None, resume=False, others=(), monitor="val_ndcg@20", **options):
    """Fits with a keeper; returns it, the model, and the epoch it began with."""
    model = model or make_model()
    keeper = Keeper(folder, monitor=monitor, others=others, **({"save_seconds": 0.0} | options))
    first = keeper.attach(model, resume)
    data = tf.data.Dataset.from_tensors((tf.constant([[1.0, 2.0]]), tf.constant([[5.0]]))).repeat()
    callbacks = [Metric(list(values)), *others, keeper] if values else [*others, keeper]
    options = {"steps_per_epoch": 1, "callbacks": callbacks, "verbose": 0}
    model.fit(data, initial_epoch=first, epochs=epochs or len(values), **options)
    return keeper, model, first


def weights(model):
    return [variable.numpy() for variable in model.trainable_variables]


def test_rows_hold_what_the_logs_said_and_the_seconds(tmp_path):
    keeper, _, first = fit(tmp_path, [0.1, 0.3, 0.2])
    assert first == 0 and [row["epoch"] for row in keeper.rows] == [1, 2, 3]
    assert [row["val_ndcg@20"] for row in keeper.rows] == [0.1, 0.3, 0.2]
    assert all(row["loss"] > 0 and row["seconds"] >= 0 for row in keeper.rows)
    json.dumps(keeper.rows)  # plain numbers


def test_the_best_epoch_is_the_first_with_the_highest_metric(tmp_path):
    assert fit(tmp_path / "a", [0.1, 0.3, 0.2, 0.3])[0].best_epoch == 2
    assert fit(tmp_path / "b", [None, 0.3, None, 0.2])[0].best_epoch == 2
    assert fit(tmp_path / "c", epochs=3, monitor=None)[0].best_epoch == 3  # the last where nothing is monitored


@pytest.mark.parametrize(
    ("values", "patience", "epochs"),
    [
        ([0.3, 0.2, 0.2, 0.2, 0.2], 2, 3),
        ([0.3, 0.3, 0.3], 1, 2),  # no rise is no new best
        ([0.1, 0.2, 0.1, 0.3, 0.2, 0.1, 0.1], 2, 6),
        ([0.3, None, 0.2, None, 0.2, None, 0.2], 2, 5),  # patience counts validations, not epochs
        ([0.3, 0.2, 0.1], None, 3),
    ],
)
def test_it_stops_when_the_metric_no_longer_rises(tmp_path, values, patience, epochs):
    keeper, model, _ = fit(tmp_path, values, patience=patience)
    assert len(keeper.rows) == epochs and keeper.stopped == (patience is not None)
    assert keeper.finished == keeper.stopped


def test_a_fit_goes_on_where_the_checkpoint_stands(tmp_path):
    values = [0.3, 0.1, 0.2, 0.4]
    whole, expected, _ = fit(tmp_path / "whole", values)
    fit(tmp_path / "parts", values, epochs=2)
    keeper, model, first = fit(tmp_path / "parts", values, resume=True)
    assert first == 2 and keeper.best_epoch == 4
    assert [row["loss"] for row in keeper.rows] == [row["loss"] for row in whole.rows]
    for one, other in zip(weights(model), weights(expected), strict=True):  # Adam's moments went on, too
        np.testing.assert_array_equal(one, other)
    assert int(model.optimizer.iterations) == 4


def test_without_resume_a_fit_begins_anew(tmp_path):
    fit(tmp_path, [0.1, 0.2])
    assert fit(tmp_path, [0.1, 0.2])[2] == 0


def test_resume_without_a_checkpoint_begins_anew(tmp_path):
    assert fit(tmp_path / "none", [0.1], resume=True)[2] == 0


def test_that_a_fit_was_stopped_is_remembered(tmp_path):
    class Enough(tf.keras.callbacks.Callback):
        """A user's own reason to stop."""

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    fit(tmp_path, [0.1, 0.2, 0.3, 0.4], others=[Enough()])
    again = Keeper(tmp_path, monitor="val_ndcg@20")
    assert again.attach(make_model(), resume=True) == 2 and again.finished and not again.stopped


def test_checkpoints_are_some_seconds_apart_and_at_the_end(tmp_path):
    keeper, model, _ = fit(tmp_path, [0.1, 0.2, 0.3], save_seconds=1000.0)
    assert len(list(tmp_path.glob("ckpt-*.index"))) == 1  # at the end
    fit(tmp_path / "often", [0.1] * 5)
    assert len(list((tmp_path / "often").glob("ckpt-*.index"))) == 2  # no more are kept


def test_callbacks_keep_their_plain_state(tmp_path):
    before, after = Counting(), Counting()
    fit(tmp_path, [0.1, 0.2], others=[before])
    fit(tmp_path, [0.1, 0.2, 0.3], others=[after], resume=True)
    assert (after.epochs, after.note, after.on) == (3, "epoch 3", True)
    assert after.share == np.float32(0.3)


def test_a_rate_that_a_callback_lowered_stays_low(tmp_path):
    def lower():
        return tf.keras.callbacks.ReduceLROnPlateau(monitor="val_ndcg@20", mode="max", factor=0.5, patience=1)

    values = [0.3, 0.2, 0.2, 0.2, 0.2]
    whole, expected, _ = fit(tmp_path / "whole", values, others=[lower()])
    fit(tmp_path / "parts", values, epochs=3, others=[lower()])
    keeper, model, _ = fit(tmp_path / "parts", values, others=[lower()], resume=True)
    assert float(model.optimizer.learning_rate) == float(expected.optimizer.learning_rate) < 0.1
    assert [row["lr"] for row in keeper.rows] == [row["lr"] for row in whole.rows]


def test_plain_states():
    callback, other = Counting(), Counting()
    callback.on_epoch_end(4)
    (state,) = plain_states([callback])
    assert {"epochs": 1, "note": "epoch 5", "on": True}.items() <= state.items()
    assert not {"table", "model", "params"} & set(state)
    json.dumps(state)
    set_plain_states([other], [state])
    assert (other.epochs, other.note) == (1, "epoch 5")
    set_plain_states([other], [])  # nothing was kept
    assert other.epochs == 1


def test_the_best_weights_are_kept_where_they_are_asked_for(tmp_path):
    seen = []
    noted = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(weights(noted.model)))
    keeper, _, _ = fit(tmp_path, [0.1, 0.3, 0.2], others=[noted], keep_best=True)
    restored = make_model()
    tf.train.Checkpoint(model=restored).read(best_weights(tmp_path, keeper.best_epoch)).expect_partial()
    for one, other in zip(weights(restored), seen[1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert {path.name.split(".")[0] for path in tmp_path.glob("best-*")} == {"best-2"}
    fit(tmp_path / "not", [0.1, 0.3])
    assert not list((tmp_path / "not").glob("best-*"))


def test_the_best_weights_of_the_last_checkpoint_stay_until_the_next(tmp_path):
    """A fit that is killed after a new best goes back to its checkpoint, and to the best of that time."""

    class Killed(tf.keras.callbacks.Callback):
        """Comes after the keeper."""

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    model = make_model()
    keeper = Keeper(tmp_path, monitor="val_ndcg@20", keep_best=True, save_seconds=0.0)
    keeper.attach(model, resume=False)
    data = tf.data.Dataset.from_tensors((tf.constant([[1.0, 2.0]]), tf.constant([[5.0]]))).repeat()
    seldom = tf.keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(keeper, "save_seconds", 0.0 if epoch < 2 else 1000.0)
    )
    callbacks = [Metric([0.1, 0.3, 0.4, 0.5]), seldom, keeper, Killed()]
    with pytest.raises(KeyboardInterrupt):
        model.fit(data, epochs=4, steps_per_epoch=1, callbacks=callbacks, verbose=0)
    again = Keeper(tmp_path, monitor="val_ndcg@20", keep_best=True)
    assert again.attach(make_model(), resume=True) == 2 and again.best_epoch == 2
    assert (tmp_path / "best-2.index").exists()


def test_where_nothing_was_validated_the_last_weights_are_the_best(tmp_path):
    keeper, model, _ = fit(tmp_path, [None, None], keep_best=True)
    restored = make_model()
    tf.train.Checkpoint(model=restored).read(best_weights(tmp_path, keeper.best_epoch)).expect_partial()
    np.testing.assert_array_equal(weights(restored)[0], weights(model)[0])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_no_number_ends_the_fit(tmp_path, value):
    with pytest.raises(FloatingPointError, match="val_ndcg@20 became (nan|inf) in epoch 2; lower the learning rate"):
        fit(tmp_path, [0.1, value, 0.2])
    assert Keeper(tmp_path).attach(make_model(), resume=True) == 1  # the checkpoint is of before


def test_a_loss_that_is_no_number_ends_the_fit_with_and_without_a_metric(tmp_path):
    broken = make_model()
    broken.layers[0].kernel.assign([[np.nan], [1.0]])
    with pytest.raises(FloatingPointError, match="loss became nan in epoch 1; lower the learning rate"):
        fit(tmp_path, epochs=2, model=broken, monitor=None)


def test_a_metric_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(UsageError, match="monitor must be one of val_ndcg@20, got 'val_ndcg@10'"):
        fit(tmp_path, [0.1, 0.2], monitor="val_ndcg@10")
