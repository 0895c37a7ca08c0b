"""A chief, two workers and two or three parameter servers, each a process of its own on this machine."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.test_workers import free_ports
from tests.train_process import settings, start_training
from tfmmrec.data.fashion import write_fashion
from tfmmrec.run_evaluation import evaluate_run
from tfmmrec.runs import load_run

LIMIT_SECONDS = 300
CHIEF, *WORKERS = [("worker", index) for index in range(3)]
SETTINGS = [
    "dim=8",
    "text_dim=5",
    "feature_dim=6",
    "image_size=16",
    "image_steps=0",
    "text_mode=cached",
    "loss=sampled_softmax",
    "negatives=mixed",
    "num_negatives=20",
    "normalize=true",
    "learning_rate=0.003",
    "optimizer=lazy_adam",
    "batch_size=32",
    "save_seconds=0",
    "patience=99",
    "shard_bytes=512",
]


class Processes:
    """`tfmmrec train` in several processes; what each says goes to a file beside the run."""

    def __init__(self, data: Path, run: Path):
        self.data, self.run = data, run
        self.started: dict[tuple[str, int], subprocess.Popen] = {}

    def start_all(self, num_servers: int, *more: str) -> None:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(3 + num_servers)]
        own = "--workers", ",".join(addresses[:3]), "--servers", ",".join(addresses[3:])
        self.more = (*own, *more)
        for name in (CHIEF, *WORKERS, *(("server", index) for index in range(num_servers))):
            self.start(name)

    def start(self, name: tuple[str, int]) -> None:
        own = ["--strategy", "parameter_server", "--no-refit", *settings(*SETTINGS), *self.more]
        own += [f"--{name[0]}-index", str(name[1])]
        log = self.log_of(name)
        self.started[name] = start_training(self.data, self.run, log, *own, CUDA_VISIBLE_DEVICES="-1")

    def kill(self, name: tuple[str, int]) -> None:
        process = self.started.pop(name)
        process.kill()
        process.wait()

    def codes(self) -> dict[tuple[str, int], int]:
        return {name: process.wait(timeout=LIMIT_SECONDS) for name, process in self.started.items()}

    def log_of(self, name: tuple[str, int]) -> Path:
        return self.run.with_name(f"{self.run.name}-{name[0]}-{name[1]}.log")

    def said(self, name: tuple[str, int]) -> str:
        return self.log_of(name).read_text(errors="replace")

    @property
    def epoch(self) -> int:
        """Of the newest checkpoint, 0 without one."""
        saved = (self.run / "checkpoints" / "select").glob("ckpt-*.index")
        return max((int(path.stem.removeprefix("ckpt-")) for path in saved), default=0)

    def wait_for_epoch(self, epoch: int) -> None:
        limit = time.monotonic() + LIMIT_SECONDS
        while self.epoch < epoch:
            chief = self.started[CHIEF]
            assert time.monotonic() < limit and chief.poll() is None, self.said(CHIEF)[-5000:]
            time.sleep(0.05)


@pytest.fixture
def processes(tmp_path):
    data = write_fashion(tmp_path / "fashion", num_candidates=100, num_queries=60, num_interactions=700)
    processes = Processes(data, tmp_path / "run")
    yield processes
    for process in processes.started.values():
        process.kill()


@pytest.mark.slow
def test_a_lost_server_ends_all_and_a_lost_worker_none(processes):
    """The first training loses a server; resumed with three it loses a worker, which comes back, and is done."""
    processes.start_all(2, "--epochs", "11")
    processes.wait_for_epoch(2)
    placements = [json.loads((processes.run / "servers.json").read_text())]
    processes.kill(("server", 1))
    assert set(processes.codes().values()) == {1}
    assert "a parameter server is gone, and a part of the model with it" in processes.said(CHIEF)
    for name in (*WORKERS, ("server", 0)):
        assert "the chief is gone and the run has not finished" in processes.said(name)

    stood = processes.epoch
    processes.start_all(3, "--epochs", "11", "--resume")
    processes.wait_for_epoch(stood + 1)
    processes.kill(("worker", 2))
    processes.wait_for_epoch(processes.epoch + 3)
    processes.start(("worker", 2))
    assert set(processes.codes().values()) == {0}, "\n".join(map(processes.said, processes.started))
    assert f"This was server 2; worker 0 wrote {processes.run}" in processes.said(("server", 2))
    assert f"This was worker 2; worker 0 wrote {processes.run}" in processes.said(("worker", 2))

    run = load_run(processes.run)
    assert run.config.num_epochs >= 3
    rows = (processes.run / "history.csv").read_text().splitlines()[1:]
    assert len(rows) == 11 and [row.split(",")[1] for row in rows] == [str(epoch) for epoch in range(1, 12)]
    losses = np.array([float(row.split(",")[3]) for row in rows])
    assert losses[-1] < losses[0] - 0.5
    assert {path.name.split(".")[0] for path in (processes.run / "checkpoints").iterdir()} == {"final"}
    placements.append(json.loads((processes.run / "servers.json").read_text()))
    for num_servers, placement in zip((2, 3), placements, strict=True):
        _check_placement(placement, num_servers, run.model)
    assert run.config.validation["val_recall@20"] > 0.35  # by chance a fifth and a little: seen ones are left out
    assert evaluate_run(run, baselines=False, report=False).metrics["all"]["num_queries"] > 50


def _check_placement(placement, num_servers, model) -> None:
    """Every server has a part of the tables of ids, and none all of one; nothing lies with the chief."""
    assert set(placement) == {f"server {index}" for index in range(num_servers)}
    size = model.candidate_tower.encoders["id"].embeddings.shape[0]
    part = [-(-size // num_servers), 8]
    held = [[shape for shape in server.values() if shape == part] for server in placement.values()]
    assert size > 2 and any(held)
    for server in placement.values():
        assert [size, 8] not in server.values() and [model.num_candidates, 8] not in server.values()
