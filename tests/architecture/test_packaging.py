"""What pip installs: exact pins for development, ranges for users, the package and nothing else."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.architecture.sources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RELEASES = {"constraints.txt": "2.20.", "constraints-tf2.21.txt": "2.21."}
COMPANIONS = {"tensorflow", "tf-keras", "tensorflow-text", "tensorflow-serving-api"}
REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")


def pins(name: str) -> dict[str, str]:
    """Package -> version of a constraints file."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


@pytest.mark.parametrize("name", RELEASES)
def test_constraints_pin_exactly_what_is_asked_for(name):
    pinned = pins(name)
    assert all(re.fullmatch(r"[0-9][0-9A-Za-z.+-]*", version) for version in pinned.values())
    for requirement in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]:
        assert REQUIREMENT.match(requirement)[0] in pinned, f"{requirement} is not pinned in {name}"


@pytest.mark.parametrize(("name", "release"), RELEASES.items())
def test_tensorflow_and_its_companions_are_of_one_release(name, release):
    pinned = pins(name)
    for package in COMPANIONS:
        assert pinned[package].startswith(release), f"{package}=={pinned[package]} in {name}"


def test_the_two_constraints_differ_where_tensorflow_does_only():
    one, other = pins("constraints.txt"), pins("constraints-tf2.21.txt")
    different = {package for package in one | other if one.get(package) != other.get(package)}
    assert different == COMPANIONS | {"h5py"}


def test_ci_runs_what_a_developer_runs():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, ".ci/run is not executable"
    lines = script.read_text().splitlines()
    expected = ["make lint", "make test", "make test-slow", "make test-tfx TFX_ARGS=--where-possible"]
    found = [line.strip().split(" PYTEST_ARGS=")[0] for line in lines if line.strip().startswith("make ")]
    assert found == expected
    assert "set -euo pipefail" in lines
