"""`tfmmrec serve`."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys

import pytest

from tests.serving.development_server.small_model import write_small
from tfmmrec.cli import serve as module
from tfmmrec.cli.main import main
from tfmmrec.serving.client import connect
from tfmmrec.serving.retries import Retries


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of the versions of a small model."""
    made = tmp_path_factory.mktemp("saved_models") / "small"
    write_small(made / "4")
    return made


@pytest.fixture
def start():
    """`start(*arguments)`: the command in a process of its own, which ends with the test."""
    started = []

    def begin(*arguments, port=0, before=""):
        code = f"{before}from tfmmrec.cli.main import run; run()"
        command = [sys.executable, "-c", code, "serve", *arguments, "--port", port, "--grpc-port", 0]
        command = [str(part) for part in command]
        quiet = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=quiet)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def _ready(process):
    """What it said until it was ready, and the addresses."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.match(r"Ready: REST (\S+), gRPC (\S+)", line):
            return lines, found.groups()
    raise AssertionError(process.stderr.read())


def test_it_serves_says_so_and_ends_when_it_is_told_to(folder, start):
    process = start(folder, "--runtime", "development", "--poll-seconds", "0.1")
    lines, urls = _ready(process)
    assert lines[0] == "The development server, not meant for production.\n"
    assert lines[1] == "Loading version 4 of small ...\n"
    assert lines[2] == "Version 4 of small is served; 2 warmup requests answered\n"
    for url in urls:
        with connect(url) as client:
            assert client.ask("scale", [{"x": [1, 2]}])[0]["y"].tolist() == [3, 6]
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=30)
    assert process.returncode == 0 and errors == ""
    assert rest.splitlines()[-1] == "Stopped; 2 requests answered, 0 refused."


def test_it_leaves_at_once_while_its_first_version_is_loaded(folder, start):
    slow = (
        "import time\n"
        "from tfmmrec.serving.development_server import served_versions\n"
        "served_versions.ModelVersion = lambda *_: time.sleep(600)\n"
    )
    process = start(folder, "--runtime", "development", before=slow)
    assert "Loading version 4 of small ...\n" in iter(process.stdout.readline, "")
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert rest.splitlines() == ["Nothing was served yet.", "Stopped; 0 requests answered, 0 refused."]


def test_json_is_all_that_standard_output_gets(folder, start):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start(folder, "--runtime", "development", "--json", port=port)
    patient = Retries(attempts=1_000, first_seconds=0.2, longest_seconds=0.2)
    with connect(f"http://127.0.0.1:{port}/v1/models/small", retries=patient, deadline_seconds=300) as client:
        assert set(client.status()) == {4}
        assert client.ask("scale", [{"x": [1, 2]}])[0]["y"].tolist() == [3, 6]
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    answer = json.loads(out)
    assert answer["runtime"] == "development" and answer["drained"] is True and str(port) in answer["rest"]


def test_tensorflow_serving_is_run_where_it_is(folder, tmp_path, monkeypatch, capsys):
    program = tmp_path / "tensorflow_model_server"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexit ${{STATUS:-0}}\n')
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert main(["serve", str(folder), "--port", "9001", "--name", "shop"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"TensorFlow Serving (binary): {program}" in shown and "it listens at every address" in shown
    assert "REST http://127.0.0.1:9001/v1/models/shop, gRPC grpc://127.0.0.1:8500/shop" in shown
    assert "--model_name=shop" in (tmp_path / "asked").read_text()
    monkeypatch.setenv("STATUS", "3")
    assert main(["serve", str(folder)]) == 1
    assert "TensorFlow Serving ended with status 3" in capsys.readouterr().err


def test_why_it_is_the_development_server(folder, monkeypatch):
    monkeypatch.setenv("PATH", "")
    asked = {}
    monkeypatch.setattr(module, "_run_development", lambda model, name, why, options: asked.update(why=why) or {})
    assert main(["serve", str(folder)]) == 0
    assert asked["why"] == "no tensorflow_model_server is on the PATH; no docker is on the PATH"


WRONG = [
    (["--runtime", "podman"], "--runtime must be one of auto, binary, docker, development, got 'podman'"),
    (["--runtime", "binary"], "--runtime binary: no tensorflow_model_server is on the PATH"),
    (["--runtime", "development", "--port", "70000"], "port must lie in 0 to 65535, got 70000"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_what_cannot_be(folder, monkeypatch, capsys, arguments, words):
    monkeypatch.setenv("PATH", "")
    assert main(["serve", str(folder), *arguments]) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_folders_without_versions(folder, tmp_path, capsys):
    for name in ("run", "plain", "empty", "shop/.withdrawn/3"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "plain" / "saved_model.pb").touch()
    base, empty, run = folder.parent, tmp_path / "empty", tmp_path / "run"
    for path, words in (
        (folder / "4", f"{folder}/4: name the folder of the versions, not one of them: {folder}"),
        (folder / "9", f"{folder}/9: name the folder of the versions, not one of them: {folder}"),
        (
            tmp_path / "plain",
            "is one model, and a server wants a folder of versions; make one by `tfmmrec push RUN --to",
        ),
        (
            run,
            f"is a run, and a server wants a folder of versions; make one by `tfmmrec push {run} --to",
        ),
        (empty / "shop", f"no such folder; `tfmmrec push RUN --to {empty}/shop` makes a model's first version"),
        (base / "nope", f"no such folder; did you mean {folder}? `tfmmrec push RUN --to {base}/nope` makes"),
        (base, f"holds no version, a folder with a number for a name; did you mean {folder}?"),
        (empty, f"holds no version, a folder with a number for a name; `tfmmrec push RUN --to {empty}` makes"),
        (
            tmp_path / "shop",
            f"all versions are withdrawn; `tfmmrec rollback {tmp_path}/shop --to VERSION` brings one back",
        ),
    ):
        assert main(["serve", str(path)]) == 2
        assert words in " ".join(capsys.readouterr().err.split()), path


def test_the_extra_that_is_missing(folder, monkeypatch, capsys):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert main(["serve", str(folder), "--runtime", "development"]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "the development server needs fastapi and uvicorn: pip install 'tfmmrec[server]'" in shown
