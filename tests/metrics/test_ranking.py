"""Against every order of the ties, enumerated."""

import itertools
import math

import numpy as np
import pytest

from tfmmrec.metrics.ranking import RANKING_METRICS, RankedGroups


def _orders(scores):
    """Every ranking of the candidates that the scores allow."""
    values = sorted({score for score in scores if score > -np.inf}, reverse=True)
    groups = [[i for i, score in enumerate(scores) if score == value] for value in values]
    for parts in itertools.product(*(itertools.permutations(group) for group in groups)):
        yield list(itertools.chain(*parts))


def _of_one_order(order, positives, k):
    hits = [rank for rank, candidate in enumerate(order[:k], start=1) if candidate in positives]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(positives)) + 1))
    return {
        "recall": len(hits) / len(positives),
        "precision": len(hits) / k,
        "ndcg": sum(1 / math.log2(rank + 1) for rank in hits) / ideal,
        "mrr": 1 / hits[0] if hits else 0.0,
        "map": sum(count / rank for count, rank in enumerate(hits, 1)) / min(k, len(positives)),
        "hit_rate": float(bool(hits)),
    }


def _groups(rows, positives, places):
    """From whole rows of scores what a streaming evaluation keeps of them."""
    ordered = -np.sort(-rows, axis=1)
    owners = np.repeat(np.arange(len(rows)), [len(found) for found in positives])
    columns = np.concatenate([np.array(found, int) for found in positives])
    last = ordered[:, places - 1 : places]
    return RankedGroups(ordered[:, :places], (rows == last).sum(axis=1), owners, rows[owners, columns])


@pytest.mark.parametrize("places", [4, 7])
@pytest.mark.parametrize("num_values", [1, 2, 3, 7])
def test_expectation_over_all_orders(num_values, places):
    random = np.random.default_rng(num_values)
    rows = random.integers(0, num_values, (12, 7)).astype(np.float32)
    rows[random.random(rows.shape) < 0.1] = -np.inf  # seen, or never recommended
    positives = [random.choice(7, random.integers(1, 6), replace=False) for _ in rows]
    groups = _groups(rows, positives, places)
    for k in (1, 2, 4):
        expected = [
            [_of_one_order(order, set(found.tolist()), k) for order in _orders(row)]
            for row, found in zip(rows, positives, strict=True)
        ]
        for name, metric in RANKING_METRICS.items():
            means = [np.mean([value[name] for value in orders]) for orders in expected]
            np.testing.assert_allclose(metric(groups, k), means, rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_constant_score_is_a_random_ranking():
    n, places, positives = 5000, 20, [3, 77, 4999]
    groups = _groups(np.zeros((1, n), np.float32), [np.array(positives)], places)
    assert RANKING_METRICS["recall"](groups, 20)[0] == pytest.approx(20 / n)
    assert RANKING_METRICS["precision"](groups, 20)[0] == pytest.approx(3 / n)
    missed = math.comb(n - 3, 20) / math.comb(n, 20)
    assert RANKING_METRICS["hit_rate"](groups, 20)[0] == pytest.approx(1 - missed)


def test_recall_is_over_all_positives_and_ndcg_over_the_best_possible():
    row = np.arange(10, 0, -1, dtype=np.float32)[None]
    groups = _groups(row, [np.arange(8)], 5)
    assert RANKING_METRICS["recall"](groups, 4)[0] == pytest.approx(0.5)
    assert RANKING_METRICS["ndcg"](groups, 4)[0] == pytest.approx(1.0)
    assert RANKING_METRICS["map"](groups, 4)[0] == pytest.approx(1.0)


def test_a_positive_that_was_seen_is_never_found():
    groups = _groups(np.array([[-np.inf, -np.inf, 1.0]], np.float32), [np.array([0])], 3)
    assert all(metric(groups, 3)[0] == 0.0 for metric in RANKING_METRICS.values())


def test_fewer_candidates_than_k():
    groups = _groups(np.array([[2.0, 1.0]], np.float32), [np.array([1])], 2)
    found = {name: metric(groups, 10)[0] for name, metric in RANKING_METRICS.items()}
    assert found == pytest.approx(
        {"recall": 1, "precision": 0.1, "ndcg": 1 / math.log2(3), "mrr": 0.5, "map": 0.5, "hit_rate": 1}
    )
