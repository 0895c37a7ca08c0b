"""`tfmmrec evaluate`."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.serving.catalogue import untrained_run
from tfmmrec.cli.evaluate import _show
from tfmmrec.cli.main import main
from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.fashion import write_fashion
from tfmmrec.runs import read_config, write_config
from tfmmrec.training import TrainingOptions, train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one epoch whose dataset has moved since."""
    folder = tmp_path_factory.mktemp("data")
    before = write_fashion(folder / "before", num_candidates=120, num_queries=60, num_interactions=600)
    options = TrainingOptions(epochs=1, image_steps=2, refit=False)
    trained = train(load_dataset(before), folder / "run", "id_only", options=options, progress=False)
    before.rename(folder / "fashion")
    return trained.path


@pytest.fixture
def data(run):
    return str(run.parent / "fashion")


def test_a_table_beside_the_baselines_and_the_files(run, data, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["evaluate", str(run), "--dataset", data, "--k", "5,20"]) == 0
    shown = capsys.readouterr().out
    for word in ("id_only", "Most popular", "EASE", "Content ridge", "best possible", "Recall@20", "NDCG@20", "Cold"):
        assert word in shown, shown
    assert "id_only reaches of the best possible NDCG@20: all candidates " in shown
    assert f"Wrote {run / 'metrics.json'}, {run / 'recommendations.parquet'}, {run / 'report.html'}" in shown
    metrics = json.loads((run / "metrics.json").read_text())
    (row,) = [line for line in shown.splitlines() if line.strip().startswith("EASE") and line.count(".") > 3]
    expected = [metrics["baselines"]["ease"][s][f"{m}@20"] for s in ("all", "warm", "cold") for m in ("recall", "ndcg")]
    assert row.split()[1:] == [f"{value:.4f}" for value in expected]


def test_json_holds_metrics_and_files(run, data, capsys):
    assert main(["evaluate", str(run), "--dataset", data, "--k", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert "ndcg@3" in answer["warm"] and "ease" in answer["baselines"] and "share_of_oracle" in answer
    assert answer["files"]["report"] == str(run / "report.html")


def test_slices_of_few_queries_are_left_out_of_the_console_alone(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    slices = {"all": 1234, "missing_photo": 9, "missing_plot": 10, "missing_title": 2000}
    metrics = {"split": "test", "num_queries": 1234, "notes": []}
    metrics |= {name: {"num_queries": n, "recall@20": 0.5, "ndcg@20": n / 5000} for name, n in slices.items()}
    _show(metrics, "id_only", {})
    shown = capsys.readouterr().out
    assert "test, 1,234 queries" in shown
    assert "Without plot   Without title" in shown and "photo" not in shown and "0.0018" not in shown
    assert ["10", "queries", "2,000", "queries"] in [line.split() for line in shown.splitlines()]
    assert ["id_only", "0.0020", "0.4000"] in [line.split() for line in shown.splitlines()]
    metrics["missing_plot"]["num_queries"] = metrics["missing_title"]["num_queries"] = 1
    metrics["num_queries"] = 1
    _show(metrics, "id_only", {})
    shown = capsys.readouterr().out
    assert "test, 1 query\n" in shown.replace(" \n", "\n") or "test, 1 query " in shown
    assert "where something is missing" not in shown


def test_other_tasks_have_a_line_each(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    metrics = {"split": "test", "num_queries": 1, "notes": [], "all": {"num_queries": 1, "recall@20": 1, "ndcg@20": 1}}
    rating = {"num_ratings": 1200, "rmse": 0.85, "mean_rmse": 1.0, "biases_rmse": 0.875}
    metrics["tasks"] = {
        "rating": rating,
        "tags": {"num_candidates": 1, "r_precision": 0.5, "most_frequent": 0.25},
        "category": {"num_candidates": 7, "accuracy": 0.75, "most_frequent": 0.125},
    }
    _show(metrics, "multitask", {})
    shown = capsys.readouterr().out
    assert "1,200 ratings: RMSE 0.8500 (the mean 1.0000, biases alone 0.8750).\n" in shown
    assert "tags of 1 new candidate: r-precision 0.5000 (the most frequent 0.2500).\n" in shown
    assert "category of 7 new candidates: accuracy 0.7500 (the most frequent 0.1250).\n" in shown


def test_another_split_is_refused_unless_asked_for(run, data, tmp_path, capsys):
    shutil.copytree(data, tmp_path / "changed")
    path = tmp_path / "changed" / "dataset.yaml"
    path.write_text(path.read_text().replace("candidate: garment_id}", "candidate: garment_id, cold_candidates: 0.5}"))
    arguments = ["evaluate", str(run), "--dataset", str(tmp_path / "changed"), "--k", "5"]
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "interactions.cold_candidates is 0.5" in shown.err and "--other-data" in shown.err
    assert main([*arguments, "--other-data", "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert "the dataset is not the one the run was trained on, or has changed since" in notes


def test_behind_a_retriever(run, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    dataset = load_dataset(data)
    second = untrained_run(dataset, tmp_path / "second", "ranker")
    fingerprint = read_config(run).dataset_fingerprint
    write_config(second.path, second.config.model_copy(update={"dataset_fingerprint": fingerprint}))
    arguments = ["evaluate", str(second.path), "--dataset", data, "--k", "5"]
    assert main([*arguments, "--retriever", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "Retriever alone" in shown and "EASE" in shown and "(id_only) are ranked anew" in shown.replace("\n", " ")
    assert json.loads((second.path / "metrics.json").read_text())["retriever"]["path"] == str(run)
    assert main([*arguments, "--retriever", str(second.path)]) == 2
    assert "a retriever must be the run of a retrieval model, got ranker" in capsys.readouterr().err


def test_bad_usage(run, data, tmp_path, capsys):
    for arguments, message in (
        ([str(run), "--dataset", data, "--split", "valid"], "the dataset has no part valid; it has train, test"),
        ([str(run), "--dataset", data, "--split", "train"], "split must be test or valid, got 'train'"),
        ([str(run), "--dataset", data, "--k", "ten"], "--k must be whole numbers separated by commas, such as 10,20"),
        ([str(run)], "does not exist"),
        ([str(tmp_path)], "expected a run folder with config.json"),
    ):
        assert main(["evaluate", *arguments]) == 2
        assert message in capsys.readouterr().err
