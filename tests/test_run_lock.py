"""One training at a time in a run's folder, held by real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.choices import learn
from tests.conftest import ROOT
from tfmmrec import run_lock
from tfmmrec.run_lock import RunLock
from tfmmrec.types import UsageError

HOLD = """
import sys, time
from pathlib import Path
from tfmmrec.run_lock import RunLock
lock = RunLock(Path(sys.argv[1]))
lock.take()
print("held", flush=True)
time.sleep(600)
"""
REFUSED = "is being trained by another process; wait until it ends, or choose another folder"


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of `tmp_path/run`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_another_process_is_refused_until_the_first_is_killed(holder, tmp_path):
    with RunLock(tmp_path / "run") as lock:
        with pytest.raises(UsageError, match=REFUSED):
            lock.take()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        lock.take()


def test_a_training_is_refused_and_writes_nothing(holder, tmp_path):
    for resume in (False, True):
        with pytest.raises(UsageError, match=REFUSED):
            learn(tmp_path / "run", "id_only", epochs=1, resume=resume)
    assert os.listdir(tmp_path / "run") == [".lock"]
    holder.kill()
    holder.wait()
    assert learn(tmp_path / "run", "id_only", epochs=1, resume=True).config.finished


def test_a_training_holds_it_to_its_end(tmp_path):
    import tensorflow as tf

    class Second(tf.keras.callbacks.Callback):
        refusals = 0

        def on_epoch_end(self, epoch, logs=None):
            for resume in (False, True):
                with pytest.raises(UsageError, match=REFUSED):
                    learn(tmp_path / "run", "id_only", epochs=1, resume=resume)
                self.refusals += 1

    second = Second()
    learn(tmp_path / "run", "id_only", epochs=1, refit=False, callbacks=[second])
    assert second.refusals == 2
    with RunLock(tmp_path / "run") as lock:
        lock.take()


def test_taking_it_twice_is_taking_it_once_and_leaving_gives_it_back(tmp_path):
    with RunLock(tmp_path / "new" / "run") as lock:
        lock.take()
        lock.take()
        with pytest.raises(UsageError, match=REFUSED):
            RunLock(tmp_path / "new" / "run").take()
    with RunLock(tmp_path / "new" / "run") as other:
        other.take()


def test_a_folder_with_a_run_is_not_new(tmp_path):
    lock = RunLock(tmp_path)
    lock.check_new()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a run already; choose another folder, or go on with --resume"):
        lock.check_new()


def test_without_locks_all_goes_on(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(95, "Operation not supported")

    with RunLock(tmp_path) as lock:
        lock.take()
        monkeypatch.setattr(run_lock.fcntl, "flock", no_locks)
        RunLock(tmp_path).take()
        monkeypatch.setattr(run_lock, "fcntl", None)
        RunLock(tmp_path).take()
