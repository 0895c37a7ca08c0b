import numpy as np
import pytest

from tfmmrec.data.interactions import Interactions
from tfmmrec.search.cascade import CascadeScorer
from tfmmrec.search.ranked_batches import Pool, ranked_batches
from tfmmrec.search.scorer import vectors_scorer
from tfmmrec.types import UsageError

RANDOM = np.random.default_rng(0)
QUERIES, CANDIDATES = RANDOM.standard_normal((5, 3)), RANDOM.standard_normal((20, 3))
LOGITS = RANDOM.normal(size=(5, 20)).astype(np.float32) * 3
SEEN = np.array([[0, 3], [0, 4], [2, 0]], np.int32)


def _ranker(query_rows, candidate_rows):
    return LOGITS[query_rows, candidate_rows]


def _cascade(depth):
    return CascadeScorer(vectors_scorer(QUERIES, CANDIDATES), _ranker, depth)


def _order(query, depth, out=(), pool=range(20)):
    """Retrieve, cut, rank anew; the rest follows as the retriever has it."""
    retrieved = QUERIES[query] @ CANDIDATES.T
    by_retriever = [c for c in sorted(pool, key=lambda c: -retrieved[c]) if c not in out]
    return sorted(by_retriever[:depth], key=lambda c: -LOGITS[query, c]) + by_retriever[depth:]


@pytest.mark.parametrize("depth", [1, 6, 19, 20, 200])
def test_the_best_of_the_retriever_in_the_order_of_the_ranker(depth):
    rows = np.array([3, 0])
    scores = _cascade(depth)(rows).numpy()
    for found, query in zip(scores, rows, strict=True):
        expected = _order(query, depth)
        assert np.argsort(-found, kind="stable").tolist() == expected
        np.testing.assert_array_equal(found[expected[:depth]], LOGITS[query, expected[:depth]])
        if depth < 20:
            assert found[expected[depth]] <= found[expected[depth - 1]] - 1 + 1e-6


def test_the_others_stand_as_far_apart_as_the_retriever_has_them():
    found, retrieved = _cascade(6)(np.array([1])).numpy()[0], QUERIES[1] @ CANDIDATES.T
    others = _order(1, 6)[6:]
    np.testing.assert_allclose(np.diff(found[others]), np.diff(retrieved[others]), atol=1e-5)


def test_ties_of_the_retriever_stay_ties_and_huge_logits_stay_above():
    candidates = np.array([[3.0], [1.0], [1.0], [2.0]])
    scorer = CascadeScorer(vectors_scorer([[1.0]], candidates), lambda q, c: np.full(len(c), -3e9, np.float32), 1)
    found = scorer(np.array([0])).numpy()[0]
    assert found[0] == np.float32(-3e9) and found[0] > found[3] >= found[1] == found[2]


def test_what_is_seen_does_not_count_for_the_depth():
    scores = _cascade(4)(np.arange(5), SEEN).numpy()
    for query in range(5):
        out = SEEN[SEEN[:, 0] == query, 1].tolist()
        assert np.isneginf(scores[query, out]).all()
        expected = _order(query, 4, out)
        assert np.argsort(-scores[query], kind="stable")[: 20 - len(out)].tolist() == expected
        np.testing.assert_array_equal(scores[query, expected[:4]], LOGITS[query, expected[:4]])


def test_popularity_stands_in_for_a_retriever_that_scores_all_alike():
    queries, popularity = QUERIES.copy(), RANDOM.permutation(20)
    queries[1] = 0.0
    scorer = CascadeScorer(vectors_scorer(queries, CANDIDATES), _ranker, 6, popularity=popularity)
    by_popularity = np.argsort(-popularity).tolist()
    expected = sorted(by_popularity[:6], key=lambda c: -LOGITS[1, c]) + by_popularity[6:]
    assert np.argsort(-scorer(np.array([1])).numpy()[0], kind="stable").tolist() == expected
    np.testing.assert_array_equal(scorer(np.array([0, 2])), _cascade(6)(np.array([0, 2])))
    some = np.array([3, 8, 2, 11, 19, 7, 0, 5])
    left = [c for c in by_popularity if c in some]
    expected = sorted(left[:6], key=lambda c: -LOGITS[1, c]) + left[6:]
    found = scorer.within(some)(np.array([1])).numpy()[0]
    assert some[np.argsort(-found, kind="stable")].tolist() == expected


def test_everything_seen_is_nothing_to_rank():
    everything = np.stack([np.zeros(20), np.arange(20)], axis=1).astype(np.int32)
    assert np.isneginf(_cascade(4)(np.array([2]), everything)).all()


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_each_pool_is_cut_among_its_own(batch_size):
    def interactions(lists):
        sizes, flat = [len(entries) for entries in lists], [entry for entries in lists for entry in entries]
        return Interactions(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), np.array(flat, np.int32), {}, 20)

    seen, positives = interactions([[3, 4], [], [0], [], []]), interactions([[5, 8], [7], [1], [], [18, 2]])
    pools = [Pool("all", np.ones(20, bool)), Pool("even", np.arange(20) % 2 == 0)]
    found = list(ranked_batches(_cascade(4), [seen], positives, pools, 8, batch_size))
    asked = {"all": [], "even": []}
    for batch in found:
        pool = np.flatnonzero(batch.pool.mask)
        for query, candidates in zip(batch.query_rows, batch.candidates, strict=True):
            expected = _order(query, 4, seen.candidates_of(query), pool)[:8]
            assert candidates[: len(expected)].tolist() == expected
            asked[batch.pool.name].append(int(query))
        np.testing.assert_array_equal(batch.scores[:, :4], LOGITS[batch.query_rows[:, None], batch.candidates[:, :4]])
    assert asked == {"all": [0, 1, 2, 4], "even": [0, 4]}


def test_pairs_are_scored_some_at_a_time(monkeypatch):
    monkeypatch.setattr("tfmmrec.search.cascade.PAIRS_AT_ONCE", 7)
    sizes = []
    scorer = CascadeScorer(
        vectors_scorer(QUERIES, CANDIDATES), lambda q, c: (sizes.append(len(c)), _ranker(q, c))[1], 4
    )
    np.testing.assert_array_equal(scorer(np.arange(5)), _cascade(4)(np.arange(5)))
    assert sizes == [7, 7, 6]


def test_what_is_refused():
    with pytest.raises(UsageError, match="depth, how many candidates are ranked anew, must be at least 1, got 0"):
        _cascade(0)
    with pytest.raises(UsageError, match="5 queries and 9 candidates"):
        _cascade(4).check(5, 9)
    broken = CascadeScorer(vectors_scorer(QUERIES, CANDIDATES), lambda q, c: np.full(len(c), np.nan), 4)
    nothing = np.zeros((0, 2), np.int32)
    with pytest.raises(UsageError, match="scores that are NaN"):
        broken.ranked(np.arange(2), nothing, nothing, 3)
