import numpy as np
import pytest

from tfmmrec.metrics.slice_tally import SliceTally

BATCH = {
    "query_rows": np.array([4, 9]),
    "scores": np.array([[3.0, 2.0], [5.0, -np.inf]]),
    "candidates": np.array([[1, 0], [2, -1]]),
    "num_last": np.array([1, 1]),
    "owners": np.array([0, 1, 1]),
    "positives": np.array([1, 0, 3]),
    "positive_scores": np.array([3.0, -np.inf, -np.inf]),
}


def test_means_and_counts():
    tally = SliceTally(np.array([True, True, True, False]), None, np.array([1.0, 2.0, 3.0, 99.0]))
    tally.add((1, 2), **BATCH)
    metrics = tally.metrics()
    assert metrics["num_queries"] == 2
    assert metrics["recall@1"] == 0.5 and metrics["hit_rate@2"] == 0.5
    assert metrics["coverage@1"] == pytest.approx(2 / 3) and metrics["coverage@2"] == 1.0
    assert metrics["novelty@1"] == 2.5
    assert tally.per_query()["recall@1"].tolist() == [1.0, 0.0]


def test_a_slice_keeps_the_queries_with_a_positive_of_it():
    tally = SliceTally(np.ones(4, bool), np.array([False, False, False, True]))
    tally.add((1,), **BATCH)
    assert [rows.tolist() for rows in tally.query_rows] == [[9]]
    assert "coverage@1" not in tally.metrics()


def test_a_slice_nobody_has_a_positive_of_stays_empty():
    tally = SliceTally(np.ones(4, bool), np.zeros(4, bool))
    tally.add((1,), **BATCH)
    assert tally.query_rows == [] and tally.per_query() == {}
