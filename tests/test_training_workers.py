"""Several workers, each a process of its own on this machine: what they train is what one process trains."""

from __future__ import annotations

import csv
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.test_workers import free_ports
from tests.train_process import settings, start_training
from tfmmrec.cli.main import main
from tfmmrec.data.fashion import write_fashion
from tfmmrec.runs import Run, load_run

LIMIT_SECONDS = 400
SMALL = [
    "dim=8",
    "text_dim=5",
    "feature_dim=6",
    "image_size=16",
    "image_steps=0",
    "text_mode=cached",
    "save_seconds=0",
    "batch_size=32",
]
SETTINGS = {
    "two_tower": [*SMALL, "loss=sampled_softmax", "normalize=true", "steps_per_epoch=10"],
    "linear_blend": [*SMALL, "rank=20"],
    "multimodal_graph": [part for part in SMALL if not part.startswith("text_mode")],
    "multitask": [*SMALL, "loss=sampled_softmax"],
    "mult_dae": ["dim=8", "save_seconds=0", "batch_size=16"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "fashion"
    return write_fashion(folder, num_candidates=100, num_queries=60, num_interactions=700)


def arguments(model: str) -> list[str]:
    return ["--model", model, "--no-refit", *settings(*SETTINGS[model], "patience=99")]


def start(data: Path, run: Path, model: str, *more: str) -> subprocess.Popen:
    """`tfmmrec train` in a process of its own; what it says goes to a file beside the run."""
    own = arguments(model)
    index = more[more.index("--worker-index") + 1] if "--worker-index" in more else "0"
    return start_training(data, run, log_of(run, index), *own, *more, TF_FORCE_GPU_ALLOW_GROWTH="true")


def log_of(run: Path, index: str | int) -> Path:
    return run.with_name(f"{run.name}-{index}.log")


def start_both(data: Path, run: Path, model: str, *more: str) -> list[subprocess.Popen]:
    addresses = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    own = "--strategy", "multiworker", "--workers", addresses, "--worker-index"
    return [start(data, run, model, *more, *own, str(index)) for index in range(2)]


def finished(processes: list[subprocess.Popen], run: Path) -> Run:
    codes = [process.wait(timeout=LIMIT_SECONDS) for process in processes]
    assert codes == [0] * len(codes), "\n".join(log_of(run, index).read_text() for index in range(len(codes)))
    return load_run(run)


def losses(run: Run) -> np.ndarray:
    with open(run.path / "history.csv", encoding="utf-8") as file:
        return np.array([float(row["loss"]) for row in csv.DictReader(file)])


def own_weights(model) -> dict[str, np.ndarray]:
    """All but the counts of the metrics, which go by the number of replicas."""
    counts = {id(weight) for metric in model.metrics for weight in metric.weights}
    kept = [weight for weight in model.weights if id(weight) not in counts]
    return {f"{place} {weight.name}": weight.numpy() for place, weight in enumerate(kept)}


def assert_equal(one: Run, other: Run, share: float = 0.0) -> None:
    """To 1e-4; but for a share of the weights, those that no loss depends on.

    What is added to all scores alike changes no softmax: the gradient of such weights is rounding, and Adam takes a
    whole step by it.
    """
    np.testing.assert_allclose(losses(one), losses(other), rtol=1e-4)
    wanted = own_weights(other.model)
    is_far = [(~np.isclose(found, wanted[name], 1e-4, 1e-4)).ravel() for name, found in own_weights(one.model).items()]
    assert np.concatenate(is_far).mean() <= share


@pytest.mark.parametrize(
    "model", ["two_tower", *(pytest.param(name, marks=pytest.mark.slow) for name in SETTINGS if name != "two_tower")]
)
def test_two_workers_train_what_one_process_trains(data, tmp_path, model):
    """Twenty steps of the same global batches, negatives from both."""
    processes = start_both(data, tmp_path / "both", model, "--epochs", "2")
    own = *arguments(model), "--epochs", "2", "--strategy", "cpu"
    assert main(["train", str(data), "--run", str(tmp_path / "alone"), *own]) == 0
    both, alone = finished(processes, tmp_path / "both"), load_run(tmp_path / "alone")
    assert_equal(both, alone, 0.0 if model == "two_tower" else 0.02)
    assert not list((tmp_path / "both").rglob("worker-*"))
    assert "Wrote" in log_of(tmp_path / "both", 0).read_text()
    assert f"This was worker 1; worker 0 wrote {tmp_path / 'both'}" in log_of(tmp_path / "both", 1).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_worker_ends_the_others_and_all_go_on(data, tmp_path, killed):
    """The run is then what it would have been."""
    run, epochs = tmp_path / "run", ("--epochs", "12")
    processes = start_both(data, run, "two_tower", *epochs)
    limit = time.monotonic() + LIMIT_SECONDS
    while not list((run / "checkpoints" / "select").glob("ckpt-*.index")):
        assert time.monotonic() < limit and processes[killed].poll() is None, log_of(run, killed).read_text()
        time.sleep(0.05)
    processes[killed].kill()
    assert processes[1 - killed].wait(timeout=LIMIT_SECONDS) not in (0, None)
    processes[killed].wait()
    both = finished(start_both(data, run, "two_tower", *epochs, "--resume"), run)
    assert losses(both).size == 12
    whole = finished(start_both(data, tmp_path / "whole", "two_tower", *epochs), tmp_path / "whole")
    assert_equal(both, whole)


@pytest.mark.slow
def test_a_chief_that_cannot_begin_ends_the_others(data, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    processes = start_both(data, run, "two_tower", "--epochs", "1")
    assert [process.wait(timeout=LIMIT_SECONDS) for process in processes] == [2, 2]
    assert "holds a run already" in log_of(run, 0).read_text()
    assert "the first worker could not begin to train; its own message says why" in log_of(run, 1).read_text()
