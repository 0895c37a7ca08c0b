"""What tests of pretrained encoders share."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  (the ops of tokenizers)

from tests.conftest import ROOT


@dataclass
class Exported:
    """What `exporting` left in its folder."""

    folder: Path
    expected: dict[str, np.ndarray]
    refused: dict[str, str]

    def load(self, name: str):
        """One of the exported encoders."""
        return tf.saved_model.load(str(self.folder / name))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Small random encoders, made and exported by one process with Keras 3, for all of pytest's own processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "pretrained"
    with open(folder.with_name("pretrained.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second waits, and finds it made
        if not folder.exists():
            _export(folder.with_name("pretrained.part"))
            folder.with_name("pretrained.part").rename(folder)
    with np.load(folder / "expected.npz") as kept:
        expected = dict(kept)
    return Exported(folder, expected, json.loads((folder / "refused.json").read_text()))


def _export(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    environment |= {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "tests.pretrained.exporting", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
