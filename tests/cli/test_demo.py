"""`tfmmrec demo`, with a small catalogue, small models and few epochs."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.conformance.models import SMALL
from tfmmrec.cli import demo
from tfmmrec.cli.main import main
from tfmmrec.data import fashion
from tfmmrec.data.dataset import load_dataset
from tfmmrec.run_lock import RunLock
from tfmmrec.runs import load_run
from tfmmrec.serving.exported_model import load_exported
from tfmmrec.zoo import ZOO

TRAINING = {"epochs": 2, "batch_size": 32, "image_steps": 3}


@pytest.fixture(scope="module")
def small():
    """Makes the demo small."""
    sizes = {"num_candidates": 160, "num_queries": 60, "num_interactions": 900}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")  # room for the table
        patch.setattr(fashion, "write_fashion", functools.partial(fashion.write_fashion, **sizes))
        for name in demo.MODELS:
            build = functools.partial(ZOO[name].build, **SMALL)
            patch.setitem(ZOO, name, dataclasses.replace(ZOO[name], build=build, training=TRAINING))
        yield


@pytest.fixture(scope="module")
def done(small, tmp_path_factory):
    """The folder of a demo, what it answered as JSON, and what it would say to a person."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "demo"
    said = io.StringIO()
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(demo, "console", lambda: Console(file=said, highlight=False))
        code = main(["demo", "--out", str(folder), "--seed", "1", "--json"])
    assert code == 0, err.getvalue()
    return SimpleNamespace(folder=folder, answer=json.loads(out.getvalue()), said=said.getvalue())


def test_it_leaves_a_dataset_runs_a_report_and_a_model(done):
    assert load_dataset(done.folder / "fashion").summary()["num_candidates"] == 160
    for name in demo.MODELS:
        assert load_run(done.folder / "runs" / name).config.options["seed"] == 1
        assert (done.folder / "runs" / name / "metrics.json").exists()
    assert done.answer["report"] == str(done.folder / "runs" / "two_tower" / "report.html")
    assert "<html" in (done.folder / "runs" / "two_tower" / "report.html").read_text()[:200]
    assert load_exported(done.answer["model"]).path == str(done.folder / "runs" / "two_tower" / "export")


def test_its_table_is_of_what_was_measured(done):
    assert list(done.answer["metrics"]) == ["MostPop", "ID-only", "multimodal", "best possible"]
    measured = {
        name: json.loads((done.folder / "runs" / name / "metrics.json").read_text())
        for name in ("id_only", "two_tower")
    }
    best = measured["two_tower"]["oracle"]
    expected = {
        "MostPop": measured["two_tower"]["baselines"]["most_popular"],
        "ID-only": measured["id_only"],
        "multimodal": measured["two_tower"],
        "best possible": best,
    }
    for title, metrics in expected.items():
        for name in ("warm", "cold"):
            found = done.answer["metrics"][title][name]
            assert found["recall@20"] == metrics[name]["recall@20"] and found["ndcg@20"] == metrics[name]["ndcg@20"]
            if title != "best possible":
                assert found["share_of_oracle"] == pytest.approx(metrics[name]["ndcg@20"] / best[name]["ndcg@20"])
    difference = done.answer["warm_against_id_only"]
    warm = [measured[name]["warm"]["ndcg@20"] for name in ("two_tower", "id_only")]
    assert difference["difference"] == pytest.approx(warm[0] / warm[1] - 1)
    assert difference["low"] <= difference["difference"] <= difference["high"]


def test_it_asks_for_a_known_shopper_for_a_history_and_with_content_nobody_has_seen(done):
    known, history, content = done.answer["questions"]
    assert known["source"] in ("query", "history")  # the one or the other tower knows a shopper by
    assert (history["source"], content["source"]) == ("history", "content")
    ids = set(load_dataset(done.folder / "fashion").candidates.ids.to_pylist())
    for question in (known, history, content):
        assert len(question["candidate_ids"]) == 5 and set(question["candidate_ids"]) <= ids


def test_it_tells_a_person_what_to_look_at(done):
    for text in (
        "160 garments, 24 of them cold",
        "Training ID-only (id_only) ...",
        "Garments of the test: warm among all, cold among the cold",
        "times the better of ID-only and chance. Warm ones: ",
        "For the shopper s",
        "Like a new picture of a red floral dress",
        f"The report, with pictures: {done.answer['report']}",
        f'Ask it: tfmmrec query {done.answer["model"]} --text "linen for the beach in summer"',
    ):
        assert text in done.said
    for title, slices in done.answer["metrics"].items():
        (line,) = [line for line in done.said.splitlines() if line.strip().startswith(title) and line.count("0.") > 2]
        assert f"{slices['warm']['ndcg@20']:.4f}" in line and f"{slices['cold']['ndcg@20']:.4f}" in line


def test_a_second_demo_trains_anew_over_the_same_catalogue(done, small, capsys, monkeypatch):
    catalogue = {path: path.stat().st_mtime_ns for path in (done.folder / "fashion").rglob("*")}
    before = load_run(done.folder / "runs" / "id_only").config.run_id
    monkeypatch.setattr(demo, "MODELS", {"id_only": "ID-only"})
    dataset = load_dataset(done.folder / "fashion")
    run = demo._train(dataset, done.folder / "runs" / "id_only", "id_only", 1)
    assert run.config.run_id != before
    assert catalogue == {path: path.stat().st_mtime_ns for path in (done.folder / "fashion").rglob("*")}


def test_a_demo_that_is_still_at_work_is_left_alone(done, small, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with RunLock(tmp_path) as lock:
        lock.take()
        with pytest.raises(demo.UsageError, match="is being trained by another process"):
            demo._train(load_dataset(done.folder / "fashion"), tmp_path, "id_only", 0)
    assert (tmp_path / "config.json").exists()


def test_a_folder_that_holds_something_else_is_left_alone(small, tmp_path, capsys):
    (tmp_path / "fashion").mkdir()
    (tmp_path / "fashion" / "thesis.txt").write_text("mine")
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert "is not the catalogue `fashion`" in capsys.readouterr().err
    assert (tmp_path / "fashion" / "thesis.txt").read_text() == "mine"


def test_a_run_s_place_that_holds_something_else_is_left_alone(done, small, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(demo.UsageError, match="holds something that is no run; name another folder by --out"):
        demo._train(load_dataset(done.folder / "fashion"), tmp_path, "id_only", 0)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
