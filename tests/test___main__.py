import subprocess
import sys

from tests.conftest import ROOT


def test_the_package_is_the_command():
    command = [sys.executable, "-m", "tfmmrec", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0 and "train" in done.stdout
