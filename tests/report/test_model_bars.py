"""A model beside its baselines as bars."""

from __future__ import annotations

import re

from tfmmrec.report.model_bars import model_bars

METRICS = {
    "warm": {"ndcg@20": 0.25},
    "cold": {"ndcg@20": 0.125},
    "baselines": {"ease": {"warm": {"ndcg@20": 0.5}, "cold": {"ndcg@20": 0.0}}, "most_popular": {"warm": {}}},
}
SHOWN = [("warm", "ndcg@20"), ("cold", "ndcg@20")]


def widths(svg):
    """Widths of the filled bars, by their path."""
    paths = re.findall(r'<path d="M ([\d.]+) [\d.]+ \nL ([\d.]+) [^"]*" clip-path[^>]*fill: var', svg)
    return [abs(float(right) - float(left)) for left, right in paths]


def test_one_plot_for_each_slice_with_its_numbers_in_words():
    warm, cold = model_bars(METRICS, "two_tower", SHOWN)
    assert "Warm: NDCG@20. two_tower 0.250, EASE 0.500." in warm
    assert "Cold: NDCG@20. two_tower 0.125, EASE 0.000." in cold
    assert "Most popular" not in warm, "a baseline without the metric has no bar"


def test_bars_are_as_long_as_the_numbers():
    model, ease = widths(model_bars(METRICS, "two_tower", SHOWN)[0])
    assert abs(ease / model - 2.0) < 1e-3


def test_the_best_possible_is_marked():
    (made,) = model_bars(METRICS | {"oracle": {"warm": {"ndcg@20": 0.75}}}, "two_tower", SHOWN[:1])
    assert "the best possible ranking 0.750" in made and "best possible 0.750</text>" in made


def test_all_zero_does_not_fail():
    assert "m 0.000" in model_bars({"all": {"ndcg@20": 0.0}}, "m", [("all", "ndcg@20")])[0]
