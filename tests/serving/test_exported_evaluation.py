import dataclasses

import numpy as np
import pytest

from tests.serving.catalogue import untrained_run
from tests.serving.test_asked_rankings import TableOfScores
from tfmmrec.data.splits import without
from tfmmrec.run_evaluation import evaluate_run
from tfmmrec.serving.evaluation_queries import EvaluationQueries, evaluation_queries, read_evaluation
from tfmmrec.serving.export import export_run
from tfmmrec.serving.exported_evaluation import evaluate_exported
from tfmmrec.serving.exported_model import load_exported
from tfmmrec.types import DataError, UsageError

K = 5


@pytest.fixture(scope="module")
def dataset(song_dataset):
    """The songs, of which ten are cold."""
    cold = np.arange(30) % 3 == 0
    return dataclasses.replace(song_dataset, train=without(song_dataset.train, cold), cold_candidates=cold)


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    return untrained_run(dataset, tmp_path_factory.mktemp("runs") / "songs")


@pytest.fixture(scope="module")
def folder(dataset, run, tmp_path_factory):
    return export_run(run, tmp_path_factory.mktemp("exports") / "songs", dataset)


@pytest.fixture(scope="module")
def model(folder):
    return load_exported(folder)


def test_as_the_run_is_evaluated(dataset, run, folder):
    queries = read_evaluation(folder)
    found = evaluate_exported(folder, queries, K)
    expected = evaluate_run(run, ks=(K,), dataset=dataset, baselines=False, report=False, other_data=True)
    assert set(found.slices) == {"all", "warm", "cold"} and not found.notes
    for name, scores in found.slices.items():
        rows = expected.query_rows[name]
        assert scores.query_ids == dataset.queries.ids.take(rows).to_pylist()
        for metric in ("recall", "ndcg"):
            np.testing.assert_allclose(getattr(scores, metric), expected.per_query[name][f"{metric}@{K}"], atol=1e-4)
    assert found.coverage == pytest.approx(expected.metrics["all"][f"coverage@{K}"])
    assert any(scores.recall.any() for scores in found.slices.values()), "something is found"
    assert len(found.seconds) == len(queries) and (found.seconds > 0).all()


@pytest.mark.slow
def test_a_ranking_model_behind_a_retriever(dataset, run, tmp_path):
    ranker = untrained_run(dataset, tmp_path / "ranker", "ranker")
    folder = export_run(ranker, tmp_path / "export", dataset, retriever=run)
    found = evaluate_exported(folder, read_evaluation(folder), K)
    expected = evaluate_run(ranker, "test", (K,), dataset, False, False, other_data=True, retriever=run)
    for name in ("all", "warm", "cold"):  # the whole catalogue is below the depth, so that cold is the same too
        scores = found.slices[name]
        for metric in ("recall", "ndcg"):
            np.testing.assert_allclose(getattr(scores, metric), expected.per_query[name][f"{metric}@{K}"], atol=1e-4)
    assert len(found.notes) == 1 and found.notes[0].startswith("cold: of the 1000 best by retriever and ranker")
    with pytest.raises(UsageError, match="is a ranking model alone, which recommends nothing"):
        evaluate_exported(export_run(ranker, tmp_path / "alone", dataset), evaluation_queries(dataset), K)


def test_equal_scores_count_as_the_expectation_over_their_orders():
    """c0 is best; the positive c3 shares places 2 to 1001 with 999 others; c1 was seen, c2 is beneath."""
    scores = np.full((1, 1500), 1.0)
    scores[0, [0, 1, 2]] = 5.0, 9.0, -1.0
    scores[0, 1003:] = -2.0
    queries = EvaluationQueries(["q0"], {}, [["c1"]], [["c3", "c2"]], ["c2"])
    found = evaluate_exported(TableOfScores(scores), queries, k=3)
    # of 1,000 in the ties an answer of 1,000 shows 999: each of the two places holds the positive with 1 / 999
    share = 1 / 999
    np.testing.assert_allclose(found.slices["all"].recall, 2 * share / 2)
    best = 1 + 1 / np.log2(3)
    np.testing.assert_allclose(found.slices["all"].ndcg, share * (1 / np.log2(3) + 1 / np.log2(4)) / best)
    np.testing.assert_allclose(found.slices["warm"].recall, 0.0)
    assert "cold" not in found.slices and found.coverage == 3 / 1500


def test_what_came_later_is_told_and_not_measured():
    """c0 and c1 are new and best for both queries: 4 of the 6 places shown."""
    scores = np.array([[9.0, 8.0, 3.0, 2.0, 1.0], [9.0, 8.0, 1.0, 2.0, 3.0]])
    queries = EvaluationQueries(["q0", "q1"], {}, [[], []], [["c2"], ["c2"]], ["c2"], [], ["c0", "c1", "c99"])
    found = evaluate_exported(TableOfScores(scores), queries, k=3)
    np.testing.assert_allclose(found.slices["all"].ndcg, [1.0, 1 / np.log2(4)])
    assert found.coverage == 4 / 5, "c0, c1, c2 and c4 were shown"
    assert found.notes == [
        "2 candidates, 40.0% of the catalogue, came after the queries were drawn: they take 66.7% of the first 3 "
        "places, and are left out of what is measured"
    ]


def test_what_an_index_lacks_is_not_found_and_what_it_lacks_of_cold_is_not_ranked(model, dataset):
    queries = evaluation_queries(dataset)
    expected = evaluate_exported(model, queries, K).slices["all"]
    more = [[*row, "gone"] for row in queries.positives]
    asked = dataclasses.replace(queries, positives=more, cold_ids=["gone"])
    progress = []
    found = evaluate_exported(model, asked, K, lambda *told: progress.append(told))
    np.testing.assert_allclose(found.slices["all"].recall, expected.recall / 2)
    np.testing.assert_array_equal(found.slices["cold"].recall, 0.0)
    assert progress[-1] == ("evaluating", len(queries), len(queries))


def test_nothing_to_measure():
    queries, model = EvaluationQueries(["q0"]), TableOfScores(np.zeros((1, 4)))
    with pytest.raises(UsageError, match="k must lie in 1 to 999, got 1000"):
        evaluate_exported(model, queries, 1000)
    with pytest.raises(DataError, match="there are no queries"):
        evaluate_exported(model, EvaluationQueries([]))
