"""An export measured, compared and replayed for real; a worse one is refused in tests/cli/test_push.py."""

from __future__ import annotations

import functools
import json

import pytest
import tensorflow as tf

from tfmmrec.serving import blessing, catalogue_changes
from tfmmrec.serving.blessing import bless, write_blessing
from tfmmrec.serving.checks import Check
from tfmmrec.serving.evaluation_queries import read_evaluation
from tfmmrec.serving.exported_evaluation import evaluate_exported
from tfmmrec.serving.exported_model import load_exported
from tfmmrec.serving.paths import BLESSING_FILE
from tfmmrec.serving.policy import Policy
from tfmmrec.types import DataError, UsageError

POLICY = Policy(k=5, min_recall=0.0, max_latency_ratio=50.0)


@pytest.fixture(scope="module")
def loads():
    """Loads each folder once."""
    return functools.cache(load_exported)


@pytest.fixture(autouse=True)
def _replayed_and_loaded_once(loads, monkeypatch):
    """The replay, which takes a process of its own, is taken for granted."""
    monkeypatch.setattr(blessing, "replay_check", lambda model: Check("replay", True, "as here"))
    monkeypatch.setattr(blessing, "load_exported", loads)


def test_a_model_beside_itself(exported, loads):
    found = bless(exported, policy=POLICY, in_service=exported)
    checks = {check.name: check for check in found.checks}
    assert found.passed, found.checks
    assert checks["replay"].says == "as here"
    assert checks["loss of all"].value == 0.0 and checks["size ratio"].value == 1.0
    measured = evaluate_exported(loads(exported), read_evaluation(exported), 5)
    mine, other = found.figures["model"], found.figures["in_service"]
    assert mine["slices"] == other["slices"] and mine["bytes"] == other["bytes"]
    assert mine["slices"]["all"]["recall"] == pytest.approx(measured.slices["all"].recall.mean())
    assert mine["slices"]["all"]["num_queries"] == 12 and mine["coverage"] == pytest.approx(measured.coverage)
    assert 0.0 < mine["p50_ms"] <= mine["p99_ms"]
    described = json.loads(json.dumps(found.described(), allow_nan=False))
    assert described["passed"] and described["policy"]["k"] == 5 and len(described["checks"]) == len(found.checks)


def test_every_check_is_made_whichever_falls_short_first(exported):
    found = bless(exported, policy=Policy(k=5, min_recall=1.0, min_coverage=1.0, max_size_mib=0.001))
    assert not found.passed and [check.name for check in found.checks if not check.passed] == [
        "recall",
        "coverage",
        "size",
    ]
    assert found.figures.keys() == {"model"}


def test_a_version_in_service_that_cannot_be_measured(exported, tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "foreign"))
    found = bless(exported, policy=POLICY, in_service=tmp_path / "foreign")
    assert [check.name for check in found.checks if not check.passed] == ["comparison"]
    assert "nothing says whether this one is worse" in found.checks[-1].says


@pytest.mark.parametrize("wrong", [TypeError("no string"), tf.errors.InvalidArgumentError(None, None, "no shape")])
def test_a_version_in_service_that_breaks(exported, wrong, monkeypatch):
    """Whatever becomes of the older one is recorded, and can be forced."""
    measured = []

    def breaks(*arguments):
        measured.append(1)
        if len(measured) == 2:
            raise wrong
        return evaluate_exported(*arguments)

    monkeypatch.setattr(blessing, "evaluate_exported", breaks)
    found = bless(exported, policy=POLICY, in_service=exported)
    assert [check.name for check in found.checks if not check.passed] == ["comparison"]
    assert f"{type(wrong).__name__}: " in found.checks[-1].says and found.checks[-1].says.endswith(str(wrong))


def test_what_only_the_version_in_service_has_takes_no_places(exported, smaller_export, loads, monkeypatch):
    """26 of the same model's 30 songs: with the others left out of both, nothing is lost, whatever they were ranked."""
    monkeypatch.setattr(catalogue_changes, "read_removed_ids", lambda folder: ["s2", "s28"])
    found = bless(smaller_export, policy=POLICY, in_service=exported)
    assert {check.name: check for check in found.checks}["loss of all"].value == pytest.approx(0.0, abs=1e-6)
    first, second = found.described()["notes"][-2:]
    assert first.startswith("4 candidates of the version in service are not in this one") and "s26, s27, s28" in first
    assert second == "1 candidates that were removed come back with this version: s2"
    alone = evaluate_exported(loads(exported), read_evaluation(smaller_export), 5).slices["all"].ndcg.mean()
    assert alone < found.figures["in_service"]["slices"]["all"]["ndcg"], "they would have taken places"


def test_a_model_that_answers_with_no_numbers(exported, monkeypatch):
    def diverged(*arguments):
        raise DataError("answers with scores that are NaN; its model has diverged")

    monkeypatch.setattr(blessing, "evaluate_exported", diverged)
    found = bless(exported, policy=POLICY)
    assert not found.passed and found.checks[-1].name == "evaluation" and "NaN" in found.checks[-1].says


def test_time_is_taken_again_where_it_falls_short(exported, monkeypatch):
    """A pause of the machine while one of the two was measured is no reason to refuse it."""
    asked, seconds = [], blessing.AskedRankings.seconds

    def paused(self, k):
        asked.append(len(asked))
        return seconds(self, k) * (100.0 if len(asked) == 1 else 1.0)

    monkeypatch.setattr("tfmmrec.serving.asked_rankings.AskedRankings.seconds", paused)
    found = bless(exported, policy=Policy(k=5, max_latency_ratio=10.0), in_service=exported)
    assert found.passed and len(asked) == 2 + 2 * 3


def test_what_cannot_be_measured(exported, exported_ranker, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="is a ranking model alone, which recommends nothing"):
        bless(exported_ranker)
    monkeypatch.setattr(blessing, "read_evaluation", lambda folder: None)  # as of a folder without its file
    with pytest.raises(UsageError, match="carries no queries to be measured with; name a dataset with --dataset"):
        bless(exported)
    with pytest.raises(DataError, match="no such folder"):
        bless(tmp_path / "nowhere")


def test_what_is_written(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    write_blessing(tmp_path, {"outcome": "forced"})
    assert json.loads((tmp_path / BLESSING_FILE).read_text()) == {"outcome": "forced"}
