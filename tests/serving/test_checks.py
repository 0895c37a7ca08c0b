"""What falls short of a policy, and by how much; the loss's interval against its closed form."""

from __future__ import annotations

import numpy as np
import pytest

from tests.serving.published import evaluated
from tfmmrec.serving.checks import (
    absolute_checks,
    latency_check,
    least_recall,
    loss_checks,
    loss_interval,
    milliseconds,
    size_check,
)
from tfmmrec.serving.policy import Policy

MIB = 2**20


def test_the_interval_has_its_closed_form():
    """Where the metric in service is the same c for every query, U = L + z·σ / (c √n)."""
    new = np.random.default_rng(5).normal(0.36, 0.1, 2000)
    loss, upper = loss_interval(Policy(confidence=0.95, num_samples=4000), new, np.full(2000, 0.4))
    assert loss == pytest.approx(1.0 - new.mean() / 0.4)
    deviation = new.std() / (0.4 * np.sqrt(2000))
    assert upper - loss == pytest.approx(1.645 * deviation, abs=0.15 * deviation)
    _, surer = loss_interval(Policy(confidence=0.99, num_samples=4000), new, np.full(2000, 0.4))
    assert surer - loss == pytest.approx(2.326 * deviation, abs=0.25 * deviation)


def test_what_is_hard_for_both_cancels_out():
    old = np.random.default_rng(0).random(50)
    assert loss_interval(Policy(), 0.9 * old, old) == (pytest.approx(0.1), pytest.approx(0.1))
    assert loss_interval(Policy(), old, old) == (0.0, 0.0)


def test_a_loss_within_and_beyond_what_is_allowed():
    old = np.random.default_rng(0).random(400)
    policy = Policy(max_loss={"all": 0.05, "warm": None, "cold": 0.25})
    in_service = evaluated(all=old, warm=old, cold=old[:100])
    better, worse = loss_checks(policy, evaluated(all=1.01 * old, warm=0 * old, cold=0.7 * old[:100]), in_service)
    assert (better.name, better.passed, better.limit) == ("loss of all", True, 0.05)
    assert better.value == pytest.approx(-0.01)
    assert (worse.name, worse.passed, worse.value) == ("loss of cold", False, pytest.approx(0.3))
    means = f"ndcg@20 of cold: {old[:100].mean():.4f} → {0.7 * old[:100].mean():.4f} (100 queries)"
    assert (
        worse.says
        == f"{means}, a loss of 30.0%, with 95% confidence not more than 30.0% lost; allowed 25.0%: 5.0 points too much"
    )


def test_what_few_queries_cannot_tell_is_not_published():
    random = np.random.default_rng(1)
    old, new = random.random(20), random.random(20)
    new *= old.mean() / new.mean()  # no loss at all, but how sure is that
    (check,) = loss_checks(Policy(), evaluated(all=new), evaluated(all=old))
    assert (
        not check.passed
        and "a loss of" in check.says
        and check.says.endswith("too much for so few queries; more of them would make it surer")
    )
    (check,) = loss_checks(Policy(max_loss={"all": 0.9}), evaluated(all=new), evaluated(all=old))
    assert check.passed


def test_the_metric_is_chosen():
    old = np.linspace(0.1, 1.0, 40)
    (check,) = loss_checks(Policy(metric="recall"), evaluated(all=(old, 0 * old)), evaluated(all=(old, old)))
    assert check.passed and check.says.startswith("recall@20 of all")
    (check,) = loss_checks(Policy(), evaluated(all=(old, 0 * old)), evaluated(all=(old, old)))
    assert not check.passed and check.value == pytest.approx(1.0)


def test_queries_are_compared_with_themselves():
    """Whatever their order, and only those that both were asked."""
    old = np.linspace(0.1, 1.0, 40)
    new = evaluated(all=old)
    new.slices["all"].query_ids.reverse()
    new.slices["all"].ndcg = old[::-1].copy()
    in_service = evaluated(all=np.append(old, np.ones(5)))
    (check,) = loss_checks(Policy(), new, in_service)
    assert check.value == 0.0 and "(40 queries)" in check.says


def test_what_cannot_be_compared():
    some = np.full(9, 0.5)
    few, cold = loss_checks(Policy(), evaluated(all=some, cold=0 * some), evaluated(all=some, cold=some))
    assert cold.passed and cold.says == "ndcg@20 of cold: 9 queries in common are too few to compare"
    assert not few.passed and (few.value, few.limit) == (9.0, 10.0)
    assert few.says == (
        "ndcg@20 of all: 9 queries in common are too few to compare, so nothing says whether more is lost than "
        "allowed; it takes 10 (min_queries)"
    )
    (enough,) = loss_checks(Policy(min_queries=9), evaluated(all=some), evaluated(all=some))
    assert enough.passed and enough.value == 0.0
    first, gone = loss_checks(Policy(), evaluated(all=np.ones(20)), evaluated(all=np.zeros(20), cold=np.ones(20)))
    assert first.passed and first.says.endswith("nothing that could be lost")
    assert gone.says == "ndcg@20 of cold: 0 queries in common are too few to compare"


def test_recall_and_coverage():
    found = evaluated(all=np.full(10, 0.2), coverage=0.3)
    recall, coverage = absolute_checks(Policy(min_recall=0.25, min_coverage=0.3), found, 1000, MIB)
    assert not recall.passed and recall.says == "recall@20 0.2000, at least 0.2500: 0.0500 too little"
    assert coverage.passed and (coverage.value, coverage.limit) == (0.3, 0.3)


def test_without_a_minimum_a_model_must_not_be_worse_than_lots():
    assert least_recall(Policy(), 1000) == 20 / 1000 and least_recall(Policy(), 199) is None
    assert least_recall(Policy(min_recall=0.0), 1000) == 0.0
    recall, _ = absolute_checks(Policy(), evaluated(all=np.full(10, 0.01)), 1000, MIB)
    assert not recall.passed
    assert recall.says == "recall@20 0.0100, at least 0.0200 that a list drawn by lot has: 0.0100 too little"
    assert [check.name for check in absolute_checks(Policy(), evaluated(all=np.zeros(9)), 100, MIB)] == ["coverage"]


def test_time_and_size():
    found = evaluated(all=np.ones(9), seconds=np.r_[np.full(99, 0.010), 0.200])
    policy = Policy(max_p50_ms=10.5, max_p99_ms=11.0, max_size_mib=2.0)
    *_, median, slowest, size = absolute_checks(policy, found, 100, 3 * MIB)
    assert median.passed and median.value == pytest.approx(10.0)
    expected = float(np.quantile(found.seconds, 0.99)) * 1000
    assert slowest.value == milliseconds(found.seconds, 0.99) == pytest.approx(expected)
    assert not slowest.passed and slowest.name == "latency p99"
    assert not size.passed and size.says == "size 3.00 MiB, at most 2.00: 50% too much"


def test_time_and_size_beside_the_version_in_service():
    slow, quick = np.array([0.03, 0.03, 9.0]), np.array([0.01, 0.01, 0.01])
    assert latency_check(Policy(max_latency_ratio=None), slow, quick) is None
    assert latency_check(Policy(max_latency_ratio=3.1), slow, quick).passed
    check = latency_check(Policy(), slow, quick)
    assert check.says == "latency ratio 3.00 times the version in service, at most 2.00: 50% too much"
    assert size_check(Policy(max_size_ratio=None), 9, 1) is None and size_check(Policy(), 2, 1).passed
    assert not size_check(Policy(), 21, 10).passed
    assert check.described() == {
        "name": "latency ratio",
        "passed": False,
        "says": check.says,
        "value": check.value,
        "limit": 2.0,
    }
