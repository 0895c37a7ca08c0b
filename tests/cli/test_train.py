"""`tfmmrec train`; `tests/test_training_killed.py` runs it in a process of its own."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

from tfmmrec.cli.main import main
from tfmmrec.cli.train import _note
from tfmmrec.data.fashion import write_fashion
from tfmmrec.data.issues import Issue
from tfmmrec.runs import read_config, write_config

SMALL = ["--model", "id_only", "--set", "dim=4", "--epochs", "2", "--set", "batch_size=32", "--set", "patience=9"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "fashion"
    return write_fashion(folder, num_candidates=100, num_queries=60, num_interactions=600)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", str(data), "--run", str(folder), *SMALL]) == 0
    return folder


def test_what_it_says(data, tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["train", str(data), "--run", str(folder), *SMALL, "--seed", "3"]) == 0
    shown = capsys.readouterr()
    config = read_config(folder)
    validation = config.validation
    assert shown.out == (
        f"id_only: {config.num_epochs} epochs, on validation data recall@20 {validation['val_recall@20']:.4f}, "
        f"ndcg@20 {validation['val_ndcg@20']:.4f}\nWrote {folder}. Next: tfmmrec evaluate {folder}\n"
    )
    assert "choosing the epoch: loss" in shown.err and "examples/s" in shown.err
    assert "Note: " not in shown.err
    assert config.options["seed"] == 3


def test_what_it_took_of_another_run(data, run, tmp_path, capsys):
    command = ["train", str(data), "--run", str(tmp_path / "run"), *SMALL, "--start-from", str(run)]
    assert main(command) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Taken over, ")]
    assert told == [f"Taken over, {side} tower: fusion 100%; nothing of id" for side in ("query", "candidate")]
    assert main([*command, "--resume", "--json"]) == 0
    parts = {"query_tower": {"id": 0.0, "fusion": 1.0}, "candidate_tower": {"id": 0.0, "fusion": 1.0}}
    expected = {f"{side}/{part}": share for side, own in parts.items() for part, share in own.items()}
    assert json.loads(capsys.readouterr().out)["taken_over"] == expected


def test_imperfections_of_the_data_are_noted(data, tmp_path, capsys):
    shutil.copytree(data, tmp_path / "fashion")
    next((tmp_path / "fashion" / "pictures").iterdir()).unlink()
    assert main(["train", str(tmp_path / "fashion"), "--run", str(tmp_path / "run"), *SMALL]) == 0
    (note,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Note: ")]
    assert "missing picture file" in note


def test_json(data, tmp_path, capsys):
    assert main(["train", str(data), "--run", str(tmp_path / "run"), *SMALL, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    config = read_config(tmp_path / "run")
    assert answer == {
        "run": str(tmp_path / "run"),
        "model": "id_only",
        "num_epochs": config.num_epochs,
        "validation": {name.removeprefix("val_"): value for name, value in config.validation.items()},
    }


def test_the_run_records_what_it_was_made_by(run, data):
    config = read_config(run)
    assert config.finished and config.model == "id_only" and config.hyperparameters == {"dim": 4}
    assert config.options["epochs"] == 2 and config.options["batch_size"] == 32
    assert config.dataset == str(data.resolve()) and config.dataset_config is None


def test_every_flag_arrives(data, tmp_path):
    (data / "other.yaml").write_text((data / "dataset.yaml").read_text())
    flags = ["--strategy", "cpu", "--seed", "5", "--mixed-precision", "bfloat16", "--tensorboard", "--no-refit"]
    arguments = ["--config", str(data / "other.yaml"), *flags]
    assert main(["train", str(data), "--run", str(tmp_path / "run"), *SMALL, *arguments]) == 0
    config = read_config(tmp_path / "run")
    chosen = {"strategy": "cpu", "seed": 5, "mixed_precision": "bfloat16", "tensorboard": True, "refit": False}
    assert chosen.items() <= config.options.items() and config.options["deterministic"] is False
    assert config.dataset_config == str((data / "other.yaml").resolve())
    assert (tmp_path / "run" / "tensorboard" / "select").is_dir()
    with open(tmp_path / "run" / "history.csv", newline="") as file:
        assert {row["phase"] for row in csv.DictReader(file)} == {"select"}


def test_resuming_a_finished_run_says_so_again(run, data, capsys):
    before = (run / "history.csv").read_bytes()
    assert main(["train", str(data), "--run", str(run), *SMALL, "--resume"]) == 0
    assert f"{run} was finished already" in capsys.readouterr().out
    assert (run / "history.csv").read_bytes() == before


def test_resuming_needs_no_settings(run, data, capsys):
    before = (run / "config.json").read_bytes()
    assert main(["train", str(data), "--run", str(run), "--resume"]) == 0
    assert f"{run} was finished already" in capsys.readouterr().out
    assert (run / "config.json").read_bytes() == before


def test_resume_where_nothing_was_begun_begins(data, tmp_path):
    assert main(["train", str(data), "--run", str(tmp_path / "run"), *SMALL, "--resume"]) == 0
    assert read_config(tmp_path / "run").finished


def replaced(old, new):
    return [new if argument == old else argument for argument in SMALL]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*SMALL], "holds a run already; choose another folder, or go on with --resume"),
        ([*replaced("id_only", "two_tower"), "--resume"], "begun with --model id_only, not two_tower; leave it out"),
        ([*replaced("dim=4", "dim=5"), "--resume"], "begun with dim=4, not dim=5; leave the settings out"),
        ([*replaced("batch_size=32", "batch_size=64"), "--resume"], "begun with batch_size=32, not batch_size=64"),
        ([*SMALL, "--seed", "1", "--resume"], "begun with seed=0, not seed=1"),
        ([*SMALL, "--set", "fusion=late", "--resume"], "begun without fusion, not fusion='late'"),
    ],
)
def test_a_run_goes_on_as_it_was_begun_or_not_at_all(arguments, message, run, data, capsys):
    before = (run / "config.json").read_bytes()
    assert main(["train", str(data), "--run", str(run), *arguments]) == 2
    shown = capsys.readouterr()
    assert message in shown.err and "Traceback" not in shown.err and shown.out == ""
    assert (run / "config.json").read_bytes() == before


def test_a_run_goes_on_with_its_own_data_only(data, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", str(data), "--run", str(run), *SMALL]) == 0
    write_config(run, read_config(run).model_copy(update={"finished": False}))
    other = write_fashion(tmp_path / "other", seed=1, num_candidates=100, num_queries=60, num_interactions=600)
    assert main(["train", str(other), "--run", str(run), *SMALL, "--resume"]) == 2
    assert f"{run}: was begun on other data than {other}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "two_towers"], "model must be one of"),
        (["--set", "dim"], "--set dim: expected key=value"),
        (["--set", "dimm=3"], "two_tower has no setting 'dimm'; did you mean dim?"),
        (["--set", "dim=wide"], "dim='wide' does not suit two_tower"),
        (["--set", "fusion=middle"], "fusion must be one of early, late, hybrid"),
        (["--epochs", "0"], "epochs: Input should be greater than or equal to 1 (found 0)"),
        (
            ["--strategy", "gpu"],
            "strategy: Input should be 'auto', 'cpu', 'mirrored', 'multiworker', 'parameter_server' or 'tpu'",
        ),
        (["--strategy", "tpu"], "strategy tpu found no TPU on this machine"),
        (["--epochs", "2", "--set", "epochs=3"], "epochs is given by --set and by its own flag"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_usage(arguments, message, data, tmp_path, capsys):
    assert main(["train", str(data), "--run", str(tmp_path / "run"), *arguments]) == 2
    shown = capsys.readouterr()
    assert message in shown.err and "Traceback" not in shown.err and shown.out == ""
    assert not (tmp_path / "run").exists()


def test_a_folder_without_a_dataset(tmp_path, capsys):
    assert main(["train", str(tmp_path), "--run", str(tmp_path / "run")]) == 2
    assert "dataset.yaml" in capsys.readouterr().err


def test_a_model_that_diverges_is_a_failure_with_advice(data, tmp_path, capsys):
    arguments = [*SMALL, "--set", "learning_rate=1e38"]
    assert main(["train", str(data), "--run", str(tmp_path / "run"), *arguments]) == 1
    assert "; lower the learning rate" in capsys.readouterr().err


def test_what_was_survived_is_told_once(capsys):
    missing, broken = Issue("missing picture file", "items.csv, photo", 2, "a"), Issue("not a picture", "x", 1, "b")
    noted = _note([missing])
    _note([missing, broken], noted)
    told = capsys.readouterr().err.splitlines()
    assert told == [f"Note: {missing}", f"Note: {broken}"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--workers", "a:1,b:2"], "--workers and --worker-index go together"),
        (["--worker-index", "0"], "--workers and --worker-index go together"),
        (["--workers", "a:1,b", "--worker-index", "0"], "workers must be host:port, separated by commas, got 'b'"),
        (["--workers", "a:1,b:2", "--worker-index", "2"], "this worker's index must lie in 0 to 1, got 2"),
        (["--strategy", "multiworker"], "strategy multiworker needs to know its cluster"),
        (["--strategy", "parameter_server"], "strategy parameter_server needs to know its cluster"),
        (
            ["--workers", "a:1,b:2", "--worker-index", "0", "--strategy", "mirrored"],
            "--workers goes with --strategy multiworker or parameter_server, not mirrored",
        ),
        (
            ["--workers", "a:1,b:2", "--servers", "c:3", "--server-index", "0", "--set", "loss=multinomial"],
            "the loss multinomial embeds all candidates in every step",
        ),
        (
            ["--workers", "a:1,b:2", "--servers", "c:3", "--worker-index", "0", "--deterministic"],
            "leave deterministic out",
        ),
        (["--server-index", "0"], "--server-index goes with --servers"),
        (["--servers", "a:1", "--server-index", "0"], "--servers goes with --workers, and with either --worker-index"),
        (["--workers", "a:1,b:2", "--servers", "", "--server-index", "0"], "--servers names no server: give host:port"),
        (["--workers", "a:1,b:2", "--servers", "c:3", "--server-index", "1"], "this server's index must lie in 0 to 0"),
    ],
)
def test_workers_that_cannot_be(data, tmp_path, capsys, monkeypatch, given, told):
    monkeypatch.setenv("TF_CONFIG", "")  # so that what the command writes there is taken away after the test
    assert main(["train", str(data), "--run", str(tmp_path / "run"), *SMALL, *given]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_alone_though_there_is_a_cluster(data, tmp_path, capsys, monkeypatch):
    """By any other strategy than multiworker each process trains for itself, whatever TF_CONFIG says of its task."""
    cluster = {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "evaluator", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    assert main(["train", str(data), "--run", str(tmp_path / "run"), *SMALL, "--strategy", "cpu"]) == 0
    assert f"Wrote {tmp_path / 'run'}. Next:" in capsys.readouterr().out and read_config(tmp_path / "run").finished
