"""Evaluating a run: what comes back, and what lies in its folder."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.serving.catalogue import untrained_run
from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.fashion import load_oracle, write_fashion
from tfmmrec.evaluation import cold_mask, evaluate
from tfmmrec.run_evaluation import evaluate_run, run_files
from tfmmrec.runs import Run, write_config
from tfmmrec.training import TrainingOptions, train
from tfmmrec.types import DataError, UsageError


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "fashion"
    return write_fashion(folder, num_candidates=120, num_queries=60, num_interactions=600)


@pytest.fixture(scope="module")
def run(catalogue, tmp_path_factory) -> Run:
    options = TrainingOptions(epochs=1, image_steps=2, refit=False)
    return train(load_dataset(catalogue), tmp_path_factory.mktemp("runs") / "run", options=options, progress=False)


@pytest.fixture(scope="module")
def evaluation(run):
    return evaluate_run(run, ks=(5, 20))


def test_the_model_is_measured_by_its_own_vectors(run, evaluation):
    dataset = run.load_dataset()
    embedder = run.embedder(dataset)
    candidates = embedder.candidates()
    queries = embedder.queries(np.arange(len(dataset.queries)), candidates, history=dataset.train)
    expected = evaluate(lambda rows: queries[rows] @ candidates.T, dataset, ks=(5, 20)).metrics
    for name in ("all", "warm", "cold"):
        assert evaluation.metrics[name] == pytest.approx(expected[name], rel=1e-4)


def test_a_model_of_one_task_has_no_others(evaluation):
    assert "tasks" not in evaluation.metrics


def test_everything_is_given_as_a_share_of_the_best_possible(run, catalogue, evaluation):
    metrics = evaluation.metrics
    best = evaluate(load_oracle(catalogue).scores, run.load_dataset(), ks=(5, 20)).metrics
    for found in (metrics, *metrics["baselines"].values()):
        share = found["share_of_oracle"]["warm"]["ndcg@20"]
        assert share == pytest.approx(found["warm"]["ndcg@20"] / best["warm"]["ndcg@20"])
    assert set(metrics["baselines"]) == {"most_popular", "ease", "content_ridge"}


def test_a_model_of_several_tasks_tells_of_each(catalogue, tmp_path):
    dataset = load_dataset(catalogue)
    run = untrained_run(dataset, tmp_path / "run", "multitask")
    metrics = evaluate_run(run, dataset=dataset, baselines=False, other_data=True).metrics
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<h2>Other tasks</h2>" in page and "Category of 8 new candidates" in page
    found = metrics["tasks"]["category"]  # of the garments' type, from their pictures
    assert found["num_candidates"] > 5 and 0 <= found["accuracy"] <= 1 and 0 <= found["most_frequent"] <= 1
    assert "rating" not in metrics["tasks"] and json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics


def test_the_files_lie_in_the_run_s_folder(run, evaluation):
    files = run_files(run.path)
    assert json.loads(files["metrics"].read_text()) == evaluation.metrics
    assert pq.read_table(files["recommendations"]).equals(evaluation.recommendations)
    page = files["report"].read_text()
    assert "two_tower" in page and "EASE" in page and "<h2>Learning</h2>" in page and "data:image/jpeg" in page
    assert len(page) < 3_000_000


def test_values_by_query_are_there_for_a_bootstrap(evaluation):
    values = evaluation.per_query["cold"]["ndcg@20"]
    assert values.shape == evaluation.query_rows["cold"].shape
    assert values.mean() == pytest.approx(evaluation.metrics["cold"]["ndcg@20"])


def test_a_folder_does_as_well_as_a_run_and_extras_can_be_left_out(run, evaluation, tmp_path):
    copied = tmp_path / "run"
    shutil.copytree(run.path, copied, ignore=shutil.ignore_patterns("report*", "metrics*", "recommendations*"))
    told = []
    again = evaluate_run(copied, ks=(5, 20), baselines=False, report=False, progress=lambda *what: told.append(what))
    assert again.metrics["all"] == evaluation.metrics["all"]
    assert "baselines" not in again.metrics and again.metrics["notes"] == []
    assert not (copied / "report.html").exists() and (copied / "metrics.json").exists()
    assert any(what == "evaluating" and done == total for what, done, total in told)


def test_the_other_split_has_files_of_its_own(run, evaluation):
    dataset = run.load_dataset()
    dataset.valid = dataset.test
    before = {path: path.read_bytes() for path in run_files(run.path).values()}
    found = evaluate_run(run, "valid", (5,), dataset, baselines=False)
    assert found.metrics["split"] == "valid"
    names = ["metrics.valid.json", "recommendations.valid.parquet", "report.valid.html"]
    assert [path.name for path in run_files(run.path, "valid").values()] == names
    assert all(path.exists() for path in run_files(run.path, "valid").values())
    assert before == {path: path.read_bytes() for path in run_files(run.path).values()}


def test_a_split_or_cut_offs_that_do_not_exist_are_refused_before_anything_is_embedded(run, monkeypatch):
    monkeypatch.setattr(Run, "embedder", lambda *_: pytest.fail("vectors were made in vain"))
    with pytest.raises(UsageError, match="the dataset has no part valid; it has train, test"):
        evaluate_run(run, "valid")
    with pytest.raises(UsageError, match="ks must be whole numbers from 1 on"):
        evaluate_run(run, ks=(0,))


def test_another_cold_part_is_refused_and_what_differs_is_said(run, catalogue, tmp_path, monkeypatch):
    """Candidates that were in training would be measured as if nobody had seen them."""
    monkeypatch.setattr(Run, "embedder", lambda *_: pytest.fail("vectors were made in vain"))
    other = tmp_path / "other"
    shutil.copytree(catalogue, other)
    path = other / "dataset.yaml"
    path.write_text(path.read_text().replace("candidate: garment_id}", "candidate: garment_id, cold_candidates: 0.5}"))
    before = sorted(file.name for file in run.path.iterdir())
    with pytest.raises(DataError) as refused:
        evaluate_run(run, dataset=load_dataset(other))
    message = str(refused.value)
    assert message.startswith(f"{other}: is not what {run.path} was trained on: ")
    assert ": interactions.cold_candidates is 0.5, was 0.0. What the model learned from" in message
    assert "train a run on these, or measure them anyway with --other-data (other_data=True)" in message
    assert sorted(file.name for file in run.path.iterdir()) == before


def test_other_tables_are_refused_or_measured_with_a_note(run, tmp_path):
    other = write_fashion(tmp_path / "other", seed=1, num_candidates=120, num_queries=60, num_interactions=600)
    shutil.copytree(run.path, tmp_path / "run")
    dataset = load_dataset(other)
    was, found = run.config.dataset_fingerprint[:12], dataset.fingerprint[:12]
    with pytest.raises(DataError, match=rf"its tables differ \(fingerprint {found}, was {was}\)"):
        evaluate_run(tmp_path / "run", dataset=dataset, baselines=False, report=False)
    found = evaluate_run(tmp_path / "run", dataset=dataset, baselines=False, report=False, other_data=True)
    assert found.metrics["notes"] == ["the dataset is not the one the run was trained on, or has changed since"]


def test_data_without_the_features_are_refused(run, catalogue, tmp_path):
    shutil.copytree(catalogue, tmp_path / "less")
    path = tmp_path / "less" / "dataset.yaml"
    path.write_text(path.read_text().replace("    price: {kind: number}\n", ""))
    with pytest.raises(DataError, match=r"candidates lack price \(number\), which the run was trained with"):
        evaluate_run(run, dataset=load_dataset(tmp_path / "less"))


@pytest.fixture(scope="module")
def ranking(run, catalogue, tmp_path_factory) -> Run:
    """A ranking model that has learned nothing, of the same data."""
    made = untrained_run(run.load_dataset(), tmp_path_factory.mktemp("ranking") / "run", "ranker")
    made.config = made.config.model_copy(update={"dataset_fingerprint": run.config.dataset_fingerprint})
    write_config(made.path, made.config)
    return made


def _logits(ranking, dataset):
    """All pairs, `[num_queries, num_candidates]`."""
    embedder = ranking.embedder(dataset)
    candidates = embedder.candidates()
    queries = embedder.queries(np.arange(len(dataset.queries)), candidates, history=dataset.train)
    num_queries, num_candidates = len(queries), len(candidates)
    pairs = np.repeat(queries, num_candidates, axis=0), np.tile(candidates, (num_queries, 1))
    return ranking.model.score_pairs(*pairs).numpy().reshape(num_queries, num_candidates)


def test_a_ranking_model_alone_scores_every_pair(ranking, monkeypatch):
    dataset = ranking.load_dataset()
    logits = _logits(ranking, dataset)
    found = evaluate_run(ranking, ks=(5, 20), baselines=False, report=False)
    expected = evaluate(lambda rows: logits[rows], dataset, ks=(5, 20)).metrics
    for name in ("all", "warm", "cold"):
        assert found.metrics[name] == pytest.approx(expected[name], rel=1e-3)
    assert "retriever" not in found.metrics and "baselines" not in found.metrics
    monkeypatch.setattr("tfmmrec.run_evaluation.MAX_PAIRS", 60 * 120 - 1)
    with pytest.raises(UsageError, match=r"would score 60 x 120 pairs, more than 7,199; .* --retriever RUN"):
        evaluate_run(ranking)


def test_behind_a_retriever_its_best_are_ranked_anew(ranking, run, evaluation, monkeypatch):
    monkeypatch.setattr("tfmmrec.run_evaluation.DEPTH", 10)
    dataset = ranking.load_dataset()
    found = evaluate_run(str(ranking.path), ks=(5, 20), retriever=str(run.path), baselines=False)
    metrics = found.metrics
    about = {"path": str(run.path), "run_id": run.config.run_id, "model": "two_tower", "depth": 10}
    assert metrics["retriever"] == about
    for name in ("all", "warm", "cold"):
        assert metrics["baselines"]["retriever"][name] == pytest.approx(evaluation.metrics[name], rel=1e-4)
        assert "ndcg@20" in metrics["baselines"]["retriever"]["share_of_oracle"][name]
    assert metrics["notes"] == [f"the best 10 of {run.path} (two_tower) are ranked anew"]
    page = run_files(ranking.path)["report"].read_text()
    assert "ranker" in page and "Retriever alone" in page
    embedder = run.embedder(dataset)
    candidates = embedder.candidates()
    scores = embedder.queries(np.arange(60), candidates, history=dataset.train) @ candidates.T
    logits = _logits(ranking, dataset)
    lists = found.recommendations.to_pandas()
    for query, name in ((3, "all"), (17, "all"), (3, "cold"), (17, "cold")):
        own = lists[(lists.query_id == dataset.queries.ids[query].as_py()) & (lists.slice == name)]
        if not len(own):
            continue
        left = scores[query].copy()
        left[dataset.train.candidates_of(query)] = -np.inf
        if name == "cold":
            left[~cold_mask(dataset)] = -np.inf
        retrieved = [c for c in np.argsort(-left, kind="stable") if left[c] > -np.inf]
        head = retrieved[:10]
        np.testing.assert_allclose(own.score[: len(head)], np.sort(logits[query, head])[::-1], rtol=1e-4, atol=1e-5)
        places = dataset.candidates.row_of(own.candidate_id.tolist())
        assert set(places[: len(head)]) == set(head)


def test_a_retriever_that_is_none_is_refused(ranking, run, tmp_path):
    with pytest.raises(UsageError, match="two_tower is a retrieval model and finds candidates by itself"):
        evaluate_run(run, retriever=run)
    with pytest.raises(UsageError, match="a retriever must be the run of a retrieval model, got ranker"):
        evaluate_run(ranking, retriever=ranking)
    other = Run(run.path, run.config.model_copy(update={"dataset_fingerprint": "b" * 20}), run.statistics, run.model)
    with pytest.raises(DataError, match=r"was not trained on the data of .*bbbbbbbbbbbb\).*trained on the same data"):
        evaluate_run(ranking, retriever=other)
