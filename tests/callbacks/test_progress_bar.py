import re

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from tfmmrec.callbacks import ProgressBar, progress_bar


class Clock:
    """Goes on by so many seconds whenever it is asked."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def monotonic(self):
        self.now += self.step
        return self.now


@pytest.fixture
def clock(monkeypatch):
    def make(step):
        monkeypatch.setattr(progress_bar, "time", Clock(step))

    return make


class Scored(tf.keras.callbacks.Callback):
    """A validation."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_ndcg@20"] = 0.25
        logs |= {"val_recall@20": 0.5, "val_map@20": 0.125}


def fit(bar, epochs=2, first=0):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
    model.compile(optimizer="sgd", loss="mse")
    data = tf.data.Dataset.from_tensors((np.ones((4, 1)), np.ones((4, 1)))).repeat()
    options = {"steps_per_epoch": 3, "callbacks": [Scored(), bar], "verbose": 0}
    model.fit(data, epochs=epochs, initial_epoch=first, **options)


def test_without_a_terminal_the_last_line_tells_all(capsys):
    fit(ProgressBar("choosing the epoch", 4, 6))
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    values = r"loss \d+\.\d{4}  ndcg@20 0\.2500  recall@20 0\.5000"
    assert re.fullmatch(rf"choosing the epoch: {values}  [\d,]+ examples/s, \d+ s", line)


def test_losses_of_several_tasks_stand_beside_the_whole(capsys):
    bar = ProgressBar("refit", 4, 1)
    bar.on_train_begin()
    bar.on_train_end({"loss": 3.5, "regularization": 0.0, "retrieval_loss": 3.0, "rating_loss": 0.5})
    assert "refit: loss 3.5000 (retrieval 3.0000, rating 0.5000)  " in capsys.readouterr().err


def test_without_a_terminal_a_line_every_ten_seconds_at_most(capsys, clock):
    clock(1.0)  # an epoch of three steps asks the clock four times, or five with a line
    fit(ProgressBar("refit", 4, 36), epochs=12)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12 // 3 + 1 and re.match(r"refit: epoch \d  loss .* at most \d+ s left", lines[0])
    clock(0.001)
    fit(ProgressBar("refit", 4, 15), epochs=5)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_examples_a_second_count_this_run_s_steps_only(clock):
    clock(0.0)
    bar = ProgressBar("t", batch_size=50, num_steps=100, first_step=60)
    bar.on_train_begin()
    for batch in range(20):
        bar.on_train_batch_end(batch, {"loss": 1.0})
    progress_bar.time.now = 10.0
    assert bar._text({"loss": 1.0}) == "loss 1.0000    100 examples/s"  # 20 steps of 50 in 10 s
    assert (bar._steps, bar._bar.tasks[0].completed, bar._bar.tasks[0].total) == (80, 80, 100)
    bar._bar.stop()


def test_time_left_follows_from_this_run_s_steps(capsys, clock):
    clock(0.0)
    bar = ProgressBar("t", batch_size=1, num_steps=100, first_step=60)
    bar.on_train_begin()
    for batch in range(10):
        bar.on_train_batch_end(batch)
    progress_bar.time.now = 20.0
    bar.on_epoch_end(0)  # 10 steps took 20 s, 30 are left
    bar._bar.stop()
    assert "at most 60 s left" in capsys.readouterr().err


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    class Terminal:
        """A file that says it is one."""

        written = ""

        def write(self, text):
            self.written += text

        def flush(self): ...

        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(
        progress_bar,
        "Console",
        lambda stderr: Console(file=terminal, force_terminal=True, width=100, color_system=None),
    )
    fit(ProgressBar("choosing the epoch", 4, 6))
    assert "choosing the epoch" in terminal.written and "━" in terminal.written and "100%" in terminal.written
    assert "epoch 1" not in terminal.written  # no lines beside the bar
