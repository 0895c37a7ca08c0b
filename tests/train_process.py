"""`tfmmrec train` in a process of its own, for tests that start several or kill them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def start_training(data: Path, run: Path, log: Path, *arguments: str, **variables: str) -> subprocess.Popen:
    """The process; it knows of no cluster but by its arguments.

    Args:
        data: the dataset's folder.
        run: the run's.
        log: the file to which what it says is added.
        arguments: the rest of the command.
        variables: of its environment, beside this process's.
    """
    command = [sys.executable, "-c", "from tfmmrec.cli.main import run; run()", "train", str(data), "--run", str(run)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    environment.pop("TF_CONFIG", None)
    with open(log, "ab") as said:
        return subprocess.Popen([*command, *arguments], env=environment, stdout=said, stderr=said)


def settings(*given: str) -> list[str]:
    """`dim=8` and so on as arguments of the command."""
    return [argument for setting in given for argument in ("--set", setting)]
