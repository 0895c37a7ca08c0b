"""`tfmmrec push`."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

import tfmmrec
from tests.conftest import ROOT
from tests.serving.catalogue import fashion, untrained_run
from tfmmrec.cli.main import main
from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.fashion import write_fashion
from tfmmrec.serving import blessing, push
from tfmmrec.serving.checks import Check
from tfmmrec.serving.exported_model import load_exported
from tfmmrec.serving.versions import Versions


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("push")
    return untrained_run(fashion(folder / "data"), folder / "run", "id_only").path


@pytest.fixture
def replayed(monkeypatch):
    """The replay, which takes a process of its own, is taken for granted."""
    monkeypatch.setattr(blessing, "replay_check", lambda model: Check("replay", True, "as here"))


def test_published_then_refused(run, tmp_path, capsys, replayed, monkeypatch):
    to = tmp_path / "models" / "shop"
    assert main(["push", str(run), "--to", str(to)]) == 0
    shown = capsys.readouterr().out
    assert f"Published {to}/1" in shown and "coverage" in shown and "loss of" not in shown
    assert (
        load_exported(to).about["run_id"] == "run-7" and "shop" in (tmp_path / "models" / "models.config").read_text()
    )
    monkeypatch.setattr(push, "export_run", lambda run, folder, *_, **__: shutil.copytree(to / "1", folder))
    policy = tmp_path / "policy.yaml"
    policy.write_text("max_latency_ratio: null\nmax_loss: {all: -0.5}\nmin_recall: 0.0\n")
    assert main(["push", str(run), "--to", str(to), "--policy", str(policy), "--min-coverage", "1", "--json"]) == 1
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert (answer["outcome"], answer["version"], answer["before"]) == ("refused", None, 1)
    failed = [check["name"] for check in answer["checks"] if not check["passed"]]
    assert failed == ["coverage", "loss of all"] and answer["origin"]["run"] == str(run)
    assert "refused, version 1 stays in service. What fell short: coverage, loss of all. The record" in shown.err
    says = {check["name"]: check["says"] for check in answer["checks"]}
    assert "allowed -50.0%: 50.0 points too much" in says["loss of all"]
    assert "history.jsonl; --force publishes it all the same" in shown.err and "Traceback" not in shown.err
    assert Versions(to).visible() == [1]
    assert Versions(to).history()[-1]["checks"] == answer["checks"]


def test_what_is_asked_wrongly(run, tmp_path, capsys):
    to = ["push", str(run), "--to", str(tmp_path / "shop")]
    assert main([*to, "--max-loss", "cold"]) == 2
    assert "--max-loss takes SLICE=SHARE such as cold=0.2, got 'cold'" in capsys.readouterr().err
    assert main([*to, "--min-recall", "2"]) == 2
    assert "the policy: `min_recall`: expected less than or equal to 1, found 2.0" in capsys.readouterr().err
    assert main([*to, "--index", "tree"]) == 2
    assert "an index can be auto, exact, ivf, scann, got 'tree'" in capsys.readouterr().err
    assert main(["push", str(run), "--to", str(tmp_path / "7")]) == 2
    assert "name the folder of the versions, not one of them" in capsys.readouterr().err
    assert main(["push", str(tmp_path / "gone"), "--to", str(tmp_path / "shop")]) == 2
    assert not list(tmp_path.iterdir())


def _push(*arguments, **keywords):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from tfmmrec.cli.main import run; run()", "push", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes, **keywords)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_worse_model_is_refused_and_forced_and_rolled_back(tmp_path, capsys):
    """The whole way, with nothing taken for granted: a trained model, then one that has learned nothing."""
    dataset = load_dataset(write_fashion(tmp_path / "data", num_candidates=300, num_queries=300, num_interactions=4500))
    small = {"dim": 16, "feature_dim": 8, "image_size": 16}
    options = {"epochs": 8, "batch_size": 512}
    tfmmrec.train(dataset, run=tmp_path / "good", model="content_only", hyperparameters=small, options=options)
    worse = str(untrained_run(dataset, tmp_path / "worse", "content_only", **small).path)
    to = tmp_path / "models" / "shop"
    loose = ["--to", str(to), "--max-latency-ratio", "20", "--json"]
    assert main(["push", str(tmp_path / "good"), *loose]) == 0
    capsys.readouterr()
    assert main(["push", worse, *loose]) == 1
    failed = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"] if not check["passed"]}
    assert {"loss of all", "loss of cold"} <= set(failed) and failed["loss of all"]["says"].endswith(" points too much")
    assert "replay" not in failed and Versions(to).visible() == [1]
    assert main(["push", worse, *loose, "--force"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["outcome"], answer["version"], answer["passed"]) == ("forced", 2, False)
    assert load_exported(to).path == str(to / "2")
    assert main(["rollback", str(to)]) == 0 and load_exported(to).path == str(to / "1")
    assert main(["export", worse, "--to", str(to / "4")]) == 2
    assert f"`tfmmrec push RUN --to {to}`" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_killed_at_many_random_moments_of_a_real_push(run, tmp_path):
    """From the first import to the last file: the version in service stands, and what is seen can be loaded."""
    to, draw = tmp_path / "models" / "shop", random.Random(11)
    loose = ["--max-latency-ratio", "20", "--max-size-ratio", "2"]
    start = time.monotonic()
    first = _push(run, "--to", to, *loose)
    _, errors = first.communicate()
    lasted = time.monotonic() - start
    assert first.returncode == 0, errors
    shop, on_the_way = Versions(to), 0
    for _ in range(4):
        pushing, moment = _push(run, "--to", to, *loose, start_new_session=True), draw.uniform(0.2, 1.1) * lasted
        end = time.monotonic() + moment
        while time.monotonic() < end and pushing.poll() is None:
            for version in shop.visible():
                files = {path.name for path in (to / str(version)).rglob("*")}
                assert {"saved_model.pb", "variables.index", "blessing.json", "model.json"} <= files
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):  # it was through already
            os.killpg(pushing.pid, signal.SIGKILL)
        pushing.communicate()
        on_the_way += any(name.startswith(".version.") for name in os.listdir(to))
        assert shop.in_service >= 1
    assert on_the_way >= 1, "some were killed while they wrote or proved themselves"
    last = _push(run, "--to", to, *loose)
    assert last.wait() == 0
    assert sorted(name for name in os.listdir(to) if name.startswith(".version.")) == []
    for version in shop.visible():
        model = load_exported(to / str(version))
        assert len(model.ask("recommend", query_id="", k=5)["candidate_ids"]) == 5
