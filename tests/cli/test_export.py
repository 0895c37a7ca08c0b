"""`tfmmrec export`."""

from __future__ import annotations

import json

import pytest

from tests.serving.catalogue import fashion, untrained_run
from tfmmrec.cli.main import main
from tfmmrec.data.dataset import load_dataset


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    return untrained_run(fashion(folder / "data"), folder / "run").path


def test_a_run_is_exported_into_its_folder(run, capsys):
    assert main(["export", str(run), "--json"]) == 0
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert answer["path"] == str(run / "export") and (run / "export" / "saved_model.pb").exists()
    assert (run / "export" / "assets.extra" / "evaluation.parquet").exists()
    assert answer["num_candidates"] == 120 and answer["run_id"] == "run-7" and answer["total_bytes"] > 10_000
    sizes = json.loads((run / "export" / "assets.extra" / "size.json").read_text())
    assert answer["total_bytes"] == sizes["total_bytes"] and sizes["query_histories"]["candidates"]["bytes"] > 0
    assert {"serving_default", "recommend", "search", "similar", "score"} <= set(answer["signatures"])


@pytest.mark.slow
def test_two_stages_become_one_model_that_is_asked(run, tmp_path, capsys):
    dataset = load_dataset(run.parent / "data")
    ranker = untrained_run(dataset, tmp_path / "ranker", "ranker").path
    assert main(["export", str(ranker), "--retriever", str(run), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["kind"], answer["model"], answer["retriever"]["model"]) == ("ranking", "ranker", "two_tower")
    assert {"serving_default", "recommend", "search", "similar", "score"} <= set(answer["signatures"])
    own = dataset.queries.ids[4].as_py()
    assert main(["query", str(ranker / "export"), "--query-id", own, "--k", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["source"] == "query" and len(found["candidates"]) == 4
    assert main(["export", str(run), "--retriever", str(run), "--to", str(tmp_path / "out")]) == 2
    assert "is a retrieval model and finds candidates by itself" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_people_are_told_what_must_be_sent(run, tmp_path, capsys):
    run = untrained_run(load_dataset(run.parent / "data"), tmp_path / "run", "id_only").path  # soon exported
    assert main(["export", str(run), "--to", str(tmp_path / "models" / "1"), "--without-evaluation"]) == 0
    shown = capsys.readouterr().out
    assert f"Wrote {tmp_path / 'models' / '1'}" in shown
    assert "120 candidates" in shown and "query_id, candidate_id" in shown
    extra = tmp_path / "models" / "1" / "assets.extra"
    assert not (extra / "evaluation.parquet").exists()


def test_what_is_no_export_is_not_replaced(run, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["export", str(run), "--to", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert "holds something that is no export, and is not replaced" in shown.err and shown.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_is_no_run(tmp_path, capsys):
    assert main(["export", str(tmp_path / "nowhere")]) == 2
    assert "expected a run folder with config.json" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_dataset_that_is_gone(run, tmp_path, capsys):
    assert main(["export", str(run), "--to", str(tmp_path / "out"), "--dataset", str(tmp_path / "gone")]) == 2
    assert "expected a dataset's folder, but it does not exist" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
