"""What metrics and slices are called, and which come first."""

from __future__ import annotations

import pytest

from tfmmrec.report.metric_names import (
    cutoffs,
    headline,
    main_cutoff,
    main_slices,
    metric_label,
    model_label,
    slice_label,
    slices_of,
)

VALUES = {"num_queries": 3, "ndcg@5": 0.1, "ndcg@20": 0.2, "recall@20": 0.3, "hit_rate@20": 0.4}


@pytest.mark.parametrize(
    ("call", "label"),
    [
        (lambda: metric_label("hit_rate@20"), "Hit rate@20"),
        (lambda: metric_label("my_own@3"), "my own@3"),
        (lambda: slice_label("missing_front_photo"), "Without front photo"),
        (lambda: slice_label("cold"), "Cold"),
        (lambda: model_label("ease"), "EASE"),
        (lambda: model_label("retriever"), "Retriever alone"),
        (lambda: model_label("two_tower"), "two_tower"),
    ],
)
def test_labels(call, label):
    assert call() == label


def test_slices_come_in_order():
    metrics = {"split": "test", "missing_photo": VALUES, "cold": VALUES, "warm": VALUES, "all": VALUES, "oracle": {}}
    assert slices_of(metrics) == ["all", "warm", "cold", "missing_photo"]
    assert headline(metrics, 20) == [("all", "ndcg@20"), ("warm", "ndcg@20"), ("cold", "ndcg@20")]


def test_without_cold_candidates_warm_is_all():
    metrics = {"all": VALUES, "warm": VALUES}
    assert main_slices(metrics) == ["all"]
    assert headline(metrics, 20) == [("all", "ndcg@20"), ("all", "recall@20"), ("all", "hit_rate@20")]


def test_cutoffs():
    assert cutoffs({"all": VALUES}) == [5, 20]
    assert main_cutoff([5, 20, 50]) == 20
    assert main_cutoff([5, 50]) == 50
