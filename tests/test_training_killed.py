"""`tfmmrec train` in a process of its own, killed for real, and the same command with --resume until it finishes."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.choices import history_rows
from tests.train_process import settings, start_training
from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.fashion import write_fashion
from tfmmrec.runs import Run, load_run

pytestmark = pytest.mark.slow
LIMIT_SECONDS = 240
SETTINGS = ["dim=8", "history_dropout=0.3", "dropout=0.2", "query_hidden_dims=[8]", "save_seconds=0", "patience=99"]
CONTENT = ["feature_dim=6", "text_dim=5", "image_size=16", "image_steps=20", "identifier_dropout=0.2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "fashion"
    return write_fashion(folder, num_candidates=120, num_queries=80, num_interactions=900)


@dataclass
class Training:
    """One command, started as often as it takes.

    Attributes:
        data: the dataset's folder.
        run: the run's folder.
        arguments: the rest of the command.
    """

    data: Path
    run: Path
    arguments: list[str]

    def start(self, resume: bool) -> subprocess.Popen:
        """The process; what it says goes to a file."""
        more = ["--resume"] if resume else []
        return start_training(self.data, self.run, self.log, *self.arguments, *more)

    @property
    def log(self) -> Path:
        return self.run.with_name(self.run.name + ".log")

    def kill_at(self, moment: Callable[[Path], bool], delay_seconds: float = 0.0, resume: bool = True) -> bool:
        """Starts it, and kills it when the run's folder looks so; whether it was still at work then."""
        process = self.start(resume)
        deadline = time.monotonic() + LIMIT_SECONDS
        while process.poll() is None and not moment(self.run):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.002)
        time.sleep(delay_seconds)
        process.send_signal(signal.SIGKILL)
        code = process.wait()
        assert code in (0, -signal.SIGKILL), self.log.read_text()
        return code != 0

    def finish(self, resume: bool = True) -> Run:
        """Runs it to its end."""
        assert self.start(resume).wait(LIMIT_SECONDS) == 0, self.log.read_text()
        return load_run(self.run)


def at_once(run: Path) -> bool:
    return True


def at_first_config(run: Path) -> bool:
    return (run / "config.json").exists()


def in_the_choice_of_the_epoch(run: Path) -> bool:
    return any((run / "checkpoints" / "select").glob("ckpt-*.index"))


def between_the_phases(run: Path) -> bool:
    return (run / "state.json").exists()


def in_the_refit(run: Path) -> bool:
    return any((run / "checkpoints" / "refit").glob("ckpt-*.index"))


def vectors(run: Run, data: Path) -> tuple[np.ndarray, np.ndarray]:
    dataset = load_dataset(data)
    embedder = run.embedder(dataset)
    candidates = embedder.candidates()
    return candidates, embedder.queries(np.arange(len(dataset.queries)), candidates, dataset.train)


def test_killed_in_every_phase_it_ends_at_the_same_numbers(data, tmp_path):
    arguments = ["--model", "history_only", "--epochs", "6", "--deterministic", *settings(*SETTINGS, "batch_size=16")]
    whole = Training(data, tmp_path / "whole", arguments).finish(resume=False)
    training = Training(data, tmp_path / "killed", arguments)
    assert training.kill_at(at_once, 0.5, resume=False)
    assert not (training.run / "config.json").exists()  # it had not begun
    assert training.kill_at(in_the_choice_of_the_epoch)
    assert (training.run / "config.json").exists() and not (training.run / "state.json").exists()
    assert training.kill_at(between_the_phases)
    killed = training.finish()
    check_same(killed, whole, data)


def check_same(killed: Run, whole: Run, data: Path) -> None:
    assert history_rows(killed) == history_rows(whole)  # as text: to the last digit
    assert killed.config.num_epochs == whole.config.num_epochs
    assert killed.config.validation == whole.config.validation
    for one, other in zip(vectors(killed, data), vectors(whole, data), strict=True):
        np.testing.assert_array_equal(one, other)


def killed_at_random(training: Training, seed: int) -> Run:
    """Killed in every phase, each time a random while later, and once at any time; then to the end."""
    random = np.random.default_rng(seed)
    moments = [at_first_config, in_the_choice_of_the_epoch, between_the_phases, in_the_refit]
    for number, moment in enumerate(moments):
        training.kill_at(moment, random.uniform(0.0, 1.0), resume=number > 0)
    training.kill_at(at_once, random.uniform(0.0, 12.0))
    return training.finish()


@pytest.mark.parametrize(
    "more",
    [
        [
            *("loss=sampled_softmax", "refresh_steps=7", "batch_size=64", "save_seconds=0.2"),
            *("image_mode=finetuned", "text_mode=finetuned", "alignment=[adversarial_alternating]"),
        ],
        ["model=linear_blend", "rank=8", "refit=false"],
    ],
    ids=["a table of histories and second players", "a closed form and the best weights"],
)
def test_killed_at_random_moments_it_ends_at_the_same_numbers(more, data, tmp_path):
    given = {setting.split("=")[0]: setting for setting in [*SETTINGS, *CONTENT, "batch_size=16", *more]}
    model = given.pop("model", "model=two_tower").removeprefix("model=")
    arguments = ["--model", model, "--epochs", "6", "--deterministic", *settings(*given.values())]
    whole = Training(data, tmp_path / "whole", arguments).finish(resume=False)
    check_same(killed_at_random(Training(data, tmp_path / "killed", arguments), len(more)), whole, data)


def test_without_the_promise_it_ends_within_a_hundredth(data, tmp_path):
    arguments = ["--epochs", "6", *settings(*SETTINGS, *CONTENT, "batch_size=16")]
    whole = Training(data, tmp_path / "whole", arguments).finish(resume=False)
    training = Training(data, tmp_path / "killed", arguments)
    assert training.kill_at(in_the_choice_of_the_epoch, resume=False)
    assert training.kill_at(in_the_refit)
    killed = training.finish()
    losses = [[float(row["loss"]) for row in history_rows(run)] for run in (killed, whole)]
    np.testing.assert_allclose(*losses, rtol=0.01)
    assert killed.config.validation["val_ndcg@20"] == pytest.approx(whole.config.validation["val_ndcg@20"], rel=0.01)
