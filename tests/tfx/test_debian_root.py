"""What keeps the Debian 13 root from being made is told, and pip's settings reach it."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from tests.tfx import debian_root
from tests.tfx.debian_root import CANNOT, CannotMake, main, pip_settings, ready_root


def test_what_is_missing_is_told_and_is_no_failure_where_that_is_wanted(monkeypatch, capsys):
    monkeypatch.setattr(debian_root.os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian_root.shutil, "which", lambda name: None if name == "debootstrap" else name)
    assert main(["true"]) == CANNOT
    assert main(["--where-possible", "true"]) == 0
    told = "The tests of the TFX pipeline were NOT RUN: no debootstrap is on the PATH\n"
    assert capsys.readouterr().err == 2 * told
    monkeypatch.setattr(debian_root.os, "geteuid", lambda: 1000)
    assert main(["true"]) == CANNOT and "by root alone" in capsys.readouterr().err


@pytest.fixture
def machine(monkeypatch):
    """A machine on which `machine.failing` ends with 1; `machine.commands` are those that were run."""
    found = SimpleNamespace(failing="", commands=[])

    def run(command, **streams):
        found.commands.append(command)
        if "stdout" in streams:
            print(f"I: {command[-1]}", file=streams["stdout"], flush=True)
        if "debootstrap" in command:
            (debian_root.Path(command[-1]) / "etc").mkdir(parents=True, exist_ok=True)
        failed = bool(found.failing) and found.failing in command
        return subprocess.CompletedProcess(command, int(failed), "", "")

    monkeypatch.setattr(debian_root.os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian_root.shutil, "which", lambda name: name)
    monkeypatch.setattr(debian_root.subprocess, "run", run)
    return found


def test_a_root_is_made_once_and_an_earlier_one_goes(machine, tmp_path, capsys):
    others = [tmp_path / "0123456789ab", tmp_path / "0123456789ab.making", tmp_path / "somebody's"]
    for other in others:
        other.mkdir()
    with ready_root(tmp_path) as root:
        assert root.is_dir() and root.parent == tmp_path
    assert [other.exists() for other in others] == [False, False, True]
    num_commands = len(machine.commands)
    with ready_root(tmp_path) as again:
        assert again == root and len(machine.commands) == num_commands + 1, "it looks for namespaces alone"
    assert capsys.readouterr().err.splitlines()[-1].startswith("Made in ")


def test_a_mirror_that_does_not_answer(machine, tmp_path):
    machine.failing = "debootstrap"
    with pytest.raises(
        CannotMake, match="debootstrap: exit status 1, such as for want of a mirror: I: .*making; see .*log"
    ):
        with ready_root(tmp_path):
            pass
    machine.failing = "--requirement"
    with pytest.raises(CannotMake, match="pip install: exit status 1"):
        with ready_root(tmp_path):
            pass
    assert not [path for path in tmp_path.iterdir() if path.is_dir() and path.suffix != ".making"], (
        "no root that is half"
    )


def test_pip_s_settings_and_the_places_that_they_name(monkeypatch, tmp_path):
    wheels, index = tmp_path / "packages" / "wheels", tmp_path / "index" / "pages"
    for folder in (wheels, index):
        folder.mkdir(parents=True)
    (tmp_path / "ca.pem").touch()
    lines = [
        f"global.cert='{tmp_path}/ca.pem'",
        f"global.more-pages='https://somewhere/pages file://{index}'",
        "list.format='columns'",
        ":env:.timeout='9'",
    ]
    monkeypatch.setattr(debian_root.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="\n".join(lines)))
    monkeypatch.setattr(debian_root.os, "environ", {"PIP_FIND_LINKS": f"{wheels} {tmp_path}/none", "HOME": "/"})
    settings, places = pip_settings()
    assert settings == {
        "PIP_CERT": f"{tmp_path}/ca.pem",
        "PIP_MORE_PAGES": f"https://somewhere/pages file://{index}",
        "PIP_FIND_LINKS": f"{wheels} {tmp_path}/none",
    }
    assert places == [str(tmp_path / "ca.pem"), str(index.parent), str(wheels.parent)]
