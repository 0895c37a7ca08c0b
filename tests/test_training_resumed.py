"""A training that was interrupted and resumed ends as one that was not, to the last digit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.choices import choices, history_rows, learn
from tfmmrec.runs import load_run, read_config, read_state
from tfmmrec.types import DataError

pytestmark = pytest.mark.usefixtures("deterministic")


class Interruption(tf.keras.callbacks.Callback):
    """Breaks off in the second step of an epoch (from 0) of a phase (from 0, of this call), or before its first."""

    def __init__(self, phase, epoch=None):
        super().__init__()
        self.where, self.place = (phase, epoch), (-1, None)  # tuples: no state that is kept

    def on_train_begin(self, logs=None):
        self.place = (self.place[0] + 1, None)
        if self.where == self.place:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        self.place = (self.place[0], epoch)

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1 and self.where == self.place:
            raise KeyboardInterrupt


class Counting(tf.keras.callbacks.Callback):
    """A user's callback with plain state over both phases, and a metric of its own, which is best in epoch 4."""

    def __init__(self):
        super().__init__()
        self.num_epochs, self.mean, self.last = 0, 0.0, ""

    def on_epoch_end(self, epoch, logs=None):
        self.num_epochs += 1
        self.mean = 0.5 * self.mean + 0.5 * logs["loss"]
        self.last = f"epoch {epoch + 1}"
        logs["val_mine"] = -abs(epoch + 1.0 - 4.0)

    @property
    def state(self):
        return self.num_epochs, self.mean, self.last


DROPOUT = {"history_dropout": 0.3, "dropout": 0.2, "query_hidden_dims": [8]}
SAMPLED = {"loss": "sampled_softmax", "query_identifier_dropout": 0.2}
TWICE = [(0, 2), (1, None), (0, 1)]  # while it chooses the epoch, between the phases, while it trains again
CASES = {
    "draws": ("history_only", DROPOUT, {"weight_decay": 0.01, "clip_norm": 0.5, "decay_steps": 9}, TWICE),
    "a table of histories": ("history_only", SAMPLED, {"refresh_steps": 7}, TWICE),
    "the best weights": ("history_only", DROPOUT, {"refit": False}, [(0, 2), (0, 4)]),
    "frequencies of a stream": ("two_tower", SAMPLED | {"count_frequencies": False}, {"refresh_steps": 7}, TWICE),
    "mined negatives": ("history_only", {"loss": "bpr", "negatives": "mined"}, {"mine_every": 5}, TWICE),
    "a closed form": ("linear_blend", {"rank": 6, "history_dropout": 0.3}, {}, TWICE),
    "accumulated gradients": ("history_only", DROPOUT | SAMPLED, {"accumulate_steps": 3, "refresh_steps": 2}, TWICE),
    "a scaled loss": ("history_only", DROPOUT, {"mixed_precision": "float16"}, TWICE),
}
SLOW = [
    "accumulated gradients",
    "a table of histories",
    "frequencies of a stream",
    "mined negatives",
    "a closed form",
    "a scaled loss",
]


@pytest.mark.parametrize("case", [pytest.param(c, marks=[pytest.mark.slow] * (c in SLOW)) for c in CASES])
def test_interrupted_again_and_again(case, tmp_path):
    model, own, options, places = CASES[case]
    options = {"hyperparameters": own, "epochs": 5, "save_seconds": 0.0, "monitor": "val_mine", **options}
    counted = Counting()
    whole = learn(tmp_path / "whole", model, callbacks=[counted], **options)
    assert whole.config.num_epochs == 4

    for number, (phase, epoch) in enumerate(places):
        callbacks = [Counting(), Interruption(phase, epoch)]
        with pytest.raises(KeyboardInterrupt):
            learn(tmp_path / "parts", model, callbacks=callbacks, resume=number > 0, **options)
        assert not read_config(tmp_path / "parts").finished
    counted_again = Counting()
    parts = learn(tmp_path / "parts", model, callbacks=[counted_again], resume=True, **options)

    assert history_rows(parts) == history_rows(whole)
    assert parts.config.num_epochs == whole.config.num_epochs and parts.config.validation == whole.config.validation
    for one, other in zip(parts.model.variables, whole.model.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.name)
    assert counted_again.state == counted.state
    vectors = [load_run(run.path).embedder(choices()).candidates() for run in (parts, whole)]
    np.testing.assert_array_equal(*vectors)


@pytest.fixture
def interrupted(tmp_path):
    """A run that stands before its refit."""
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "run", "id_only", callbacks=[Interruption(1)], epochs=2)
    return tmp_path / "run"


def test_the_state_says_which_phase_it_is_in(interrupted):
    state = read_state(interrupted)
    assert state["phase"] == "refit" and state["epochs"] in (1, 2) and len(state["rows"]) == 2
    assert (interrupted / "checkpoints" / "select").exists()


def test_other_data_are_refused(interrupted):
    with pytest.raises(DataError, match="was begun on other data than .*; resume with the dataset it names"):
        learn(interrupted, "id_only", choices(seed=1), resume=True)
    assert not read_config(interrupted).finished


def test_what_is_given_beside_resume_is_read_from_the_run(interrupted):
    run = learn(interrupted, "history_only", epochs=1, batch_size=3, resume=True)
    assert run.config.model == "id_only" and run.config.options["batch_size"] == 16


def test_a_killed_write_of_the_final_weights_is_made_good(tmp_path, monkeypatch):
    from tfmmrec import training

    whole = learn(tmp_path / "whole", "id_only", epochs=2)
    monkeypatch.setattr(training, "write_config", lambda run, config: _die_when_finished(run, config))
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "run", "id_only", epochs=2)
    monkeypatch.undo()
    assert not json.loads((tmp_path / "run" / "config.json").read_text())["finished"]
    fitted = []
    noted = tf.keras.callbacks.LambdaCallback(on_train_begin=lambda logs: fitted.append(1))
    run = learn(tmp_path / "run", "id_only", callbacks=[noted], epochs=2, resume=True)
    assert not fitted  # nothing was left to train
    assert history_rows(run) == history_rows(whole)
    np.testing.assert_array_equal(run.model.trainable_variables[0], whole.model.trainable_variables[0])


def _die_when_finished(run, config):
    from tfmmrec.runs import write_config

    if config.finished:
        raise KeyboardInterrupt
    write_config(run, config)


def test_a_fit_that_a_user_s_callback_stopped_is_not_gone_on_with(tmp_path):
    class Enough(tf.keras.callbacks.Callback):
        """Stops after the second epoch."""

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "run", "id_only", callbacks=[Enough(), Interruption(1)], epochs=4)
    run = learn(tmp_path / "run", "id_only", callbacks=[Enough()], epochs=4, resume=True)
    assert [row["epoch"] for row in history_rows(run) if row["phase"] == "select"] == ["1", "2"]
